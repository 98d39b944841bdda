// Signatures only, to compile PostingReader without Lucene at hand; never shipped.
package org.apache.lucene.util;

public final class Version {
  public static final Version LATEST = null;
}
