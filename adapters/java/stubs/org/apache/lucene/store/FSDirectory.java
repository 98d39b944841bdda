// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.store;

public abstract class FSDirectory extends Directory {
  public static FSDirectory open(java.nio.file.Path path) throws java.io.IOException {
    throw new AssertionError();
  }
}
