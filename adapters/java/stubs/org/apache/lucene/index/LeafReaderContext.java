// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public final class LeafReaderContext {
  public final int docBase = docBase();

  public LeafReader reader() {
    throw new AssertionError();
  }

  private static int docBase() {
    throw new AssertionError();
  }
}
