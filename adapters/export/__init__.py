"""Export of a block-max index to other formats."""
