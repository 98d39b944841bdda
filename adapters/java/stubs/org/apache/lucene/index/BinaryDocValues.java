// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class BinaryDocValues {
  public abstract boolean advanceExact(int target) throws java.io.IOException;

  public abstract org.apache.lucene.util.BytesRef binaryValue() throws java.io.IOException;
}
