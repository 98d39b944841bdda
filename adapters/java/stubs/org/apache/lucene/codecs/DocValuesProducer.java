// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.codecs;

public abstract class DocValuesProducer {
  public abstract void checkIntegrity() throws java.io.IOException;
}
