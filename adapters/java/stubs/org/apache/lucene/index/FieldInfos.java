// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.index;

public class FieldInfos implements Iterable<FieldInfo> {
  public FieldInfo fieldInfo(String name) {
    throw new AssertionError();
  }

  @Override
  public java.util.Iterator<FieldInfo> iterator() {
    throw new AssertionError();
  }
}
