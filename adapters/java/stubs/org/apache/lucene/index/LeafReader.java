// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class LeafReader extends IndexReader {
  public abstract Terms terms(String field) throws java.io.IOException;

  public abstract FieldInfos getFieldInfos();

  public abstract org.apache.lucene.util.Bits getLiveDocs();
}
