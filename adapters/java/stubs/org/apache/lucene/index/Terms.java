// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class Terms {
  public abstract TermsEnum iterator() throws java.io.IOException;

  public abstract long getSumDocFreq() throws java.io.IOException;

  public abstract boolean hasFreqs();
}
