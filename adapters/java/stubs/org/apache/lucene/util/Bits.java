// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.util;

public interface Bits {
  boolean get(int index);
}
