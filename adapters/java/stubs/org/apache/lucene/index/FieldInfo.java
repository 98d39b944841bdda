// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public final class FieldInfo {
  public final String name = null;

  public IndexOptions getIndexOptions() {
    throw new AssertionError();
  }

  public DocValuesType getDocValuesType() {
    throw new AssertionError();
  }
}
