// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.search;

public abstract class DocIdSetIterator {
  public static final int NO_MORE_DOCS = Integer.MAX_VALUE;

  public abstract int nextDoc() throws java.io.IOException;
}
