// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class CodecReader extends LeafReader {
  public abstract org.apache.lucene.codecs.FieldsProducer getPostingsReader();

  public abstract org.apache.lucene.codecs.DocValuesProducer getDocValuesReader();
}
