// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public final class DocValues {
  public static BinaryDocValues getBinary(LeafReader reader, String field) throws java.io.IOException {
    throw new AssertionError();
  }
}
