// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.document;

public final class Document {
  public String get(String name) {
    throw new AssertionError();
  }
}
