// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.util;

public final class BytesRef implements Comparable<BytesRef> {
  public byte[] bytes;
  public int offset;
  public int length;

  @Override
  public int compareTo(BytesRef other) {
    throw new AssertionError();
  }
}
