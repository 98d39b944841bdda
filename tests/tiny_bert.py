"""A tokenizer of a dozen tokens and a BERT of a few hundred weights, created on the fly, for tests of encoders."""
from __future__ import annotations

from pathlib import Path

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "flow", "heat", "wing", "##s", "super", "##sonic", "the", "of",
              "speed"]
TEXTS = {"a": "heat flow of the wings", "b": "supersonic speed", "c": "the heat of supersonic flow", "d": "wings wings wings",
         "e": "speed of heat"}
QUERIES = ["supersonic heat", "the wings of heat heat", "speed", "unknown words of flow"]


def write_tokenizer(folder: Path) -> None:
    """Writes ``tokenizer.json`` and ``vocab.txt``, as in the folder of a BERT model."""
    from tokenizers import BertWordPieceTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True).save(str(folder / "tokenizer.json"))


def write_masked_language_model(folder: Path) -> None:
    """Writes a BERT that predicts masked tokens, as SPLADE is based on; its random weights are reproducible."""
    import torch
    from transformers import BertForMaskedLM, BertTokenizer

    write_tokenizer(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    model = BertForMaskedLM(_config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(20)                      # else no token weighs more than rounds to nothing
    model.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")      # all that Pyserini 2.3 takes of SPLADE models


def _config() -> object:
    from transformers import BertConfig

    return BertConfig(vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                      intermediate_size=16, max_position_embeddings=32)


def write_unicoil(folder: Path) -> None:
    """Writes a uniCOIL encoder, which is Pyserini's own class: BERT and one weight per token."""
    import torch
    from pyserini.encode import UniCoilEncoder
    from transformers import BertTokenizer

    write_tokenizer(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    model = UniCoilEncoder(_config())
    with torch.no_grad():
        model.tok_proj.weight.mul_(20).abs_()
        model.tok_proj.bias.fill_(0.7)
    model.save_pretrained(folder)
