// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class IndexReader implements java.io.Closeable {
  public abstract int maxDoc();

  public abstract int numDocs();

  public abstract StoredFields storedFields() throws java.io.IOException;

  public final java.util.List<LeafReaderContext> leaves() {
    throw new AssertionError();
  }

  @Override
  public final void close() throws java.io.IOException {}
}
