// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public abstract class StoredFields {
  public final org.apache.lucene.document.Document document(int docID, java.util.Set<String> fieldsToLoad)
      throws java.io.IOException {
    throw new AssertionError();
  }
}
