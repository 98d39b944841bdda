// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class DirectoryReader extends IndexReader {
  public static DirectoryReader open(org.apache.lucene.store.Directory directory) throws java.io.IOException {
    throw new AssertionError();
  }

  public abstract IndexCommit getIndexCommit() throws java.io.IOException;
}
