// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class PostingsEnum extends org.apache.lucene.search.DocIdSetIterator {
  public static final short FREQS = 1 << 3;

  public abstract int freq() throws java.io.IOException;
}
