// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class IndexCommit {
  public abstract String getSegmentsFileName();
}
