// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class TermsEnum {
  public abstract org.apache.lucene.util.BytesRef next() throws java.io.IOException;

  public abstract int docFreq() throws java.io.IOException;

  public abstract PostingsEnum postings(PostingsEnum reuse, int flags) throws java.io.IOException;
}
