import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.document.Document;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.Version;

/**
 * Streams a Lucene index to standard output for adapters/lucene.py.
 *
 * <p>Started with the index directory and the field, it writes one HEADER frame, then obeys one-byte commands from
 * standard input: D (all live documents, with docids from docvalues if there are any), S (the same from stored fields),
 * P (all postings), end of input (exit). It answers with frames and an END. An error is reported as one ERROR frame,
 * after which the process ends.
 *
 * <p>A frame is five little-endian int32 (kind, a, b, c, d) and a payload:
 * <pre>
 * HEADER     a bytes of JSON
 * DOCUMENTS  int32 Lucene docids[a], int32 lengths of collection docids[a], b bytes of collection docids
 * POSTINGS   int32 term lengths[a], int32 document frequencies[a], int32 live postings[a],
 *            int32 documents[c], int32 frequencies[c], b bytes of terms;
 *            d = 1: the only term of this frame is continued in the next one
 * END        nothing
 * ERROR      a bytes of UTF-8: simple name of the exception, tab, message
 * </pre>
 */
public final class PostingReader {
  private static final int HEADER = 1;
  private static final int DOCUMENTS = 2;
  private static final int POSTINGS = 3;
  private static final int END = 4;
  private static final int ERROR = 5;

  private static final int BATCH_POSTINGS = 1 << 21;
  private static final int BATCH_TERMS = 1 << 17;
  private static final int BATCH_DOCUMENTS = 1 << 20;
  private static final int BATCH_BYTES = 1 << 23;
  private static final int MAX_TERM_BYTES = 1 << 16;  // Lucene refuses terms above 32,766 bytes
  private static final int WRITE_BYTES = 1 << 20;

  private static final String DOCID_FIELD = "id";

  private final FileChannel out = new FileOutputStream(FileDescriptor.out).getChannel();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(WRITE_BYTES).order(ByteOrder.LITTLE_ENDIAN);

  public static void main(String[] args) {
    PostingReader writer = new PostingReader();
    int status = 0;
    try (DirectoryReader reader = DirectoryReader.open(FSDirectory.open(Path.of(args[0])))) {
      writer.serve(reader, args[1], System.in);
    } catch (Throwable e) {
      status = 1;
      try {
        byte[] text = (e.getClass().getSimpleName() + "\t" + e.getMessage()).getBytes(StandardCharsets.UTF_8);
        writer.buffer.clear();
        writer.frame(ERROR, text.length, 0, 0, 0);
        writer.bytes(text, 0, text.length);
        writer.flush();
      } catch (IOException nobodyReads) {
        // The reader has gone: nobody is left to report to.
      }
    }
    System.exit(status);
  }

  private void serve(DirectoryReader reader, String field, InputStream commands) throws IOException {
    byte[] json = header(reader, field).getBytes(StandardCharsets.UTF_8);
    frame(HEADER, json.length, 0, 0, 0);
    bytes(json, 0, json.length);
    flush();
    for (int command = commands.read(); command >= 0; command = commands.read()) {
      if (command == 'D' || command == 'S') {
        documents(reader, command == 'D');
      } else if (command == 'P') {
        postings(reader, field);
      } else {
        throw new IllegalArgumentException("unknown command " + command);
      }
      frame(END, 0, 0, 0, 0);
      flush();
    }
  }

  private static String header(DirectoryReader reader, String field) throws IOException {
    long sumDocFreq = 0;
    boolean found = false;
    for (LeafReaderContext leaf : reader.leaves()) {
      Terms terms = leaf.reader().terms(field);
      if (terms == null) {
        continue;
      }
      found = true;
      if (!terms.hasFreqs()) {
        throw new IllegalStateException("field '" + field + "' was indexed without frequencies, which hold the impacts");
      }
      sumDocFreq += terms.getSumDocFreq();
    }
    if (!found) {
      Set<String> fields = indexedFields(reader);
      throw new IllegalStateException("no field '" + field + "' was indexed; it has "
          + (fields.isEmpty() ? "none" : "the fields " + String.join(", ", fields)));
    }
    Set<String> versions = new TreeSet<>();
    Matcher matcher = Pattern.compile("lucene\\.version=([0-9.]+)").matcher(reader.toString());
    while (matcher.find()) {
      versions.add('"' + matcher.group(1) + '"');
    }
    return "{\"max_doc\": " + reader.maxDoc() + ", \"num_docs\": " + reader.numDocs()
        + ", \"num_segments\": " + reader.leaves().size() + ", \"sum_doc_freq\": " + sumDocFreq
        + ", \"ties_by_docid\": " + sortsTiesByDocid(reader) + ", \"written_by\": " + versions
        + ", \"lucene\": \"" + Version.LATEST + "\", \"commit\": \""
        + reader.getIndexCommit().getSegmentsFileName() + "\"}";
  }

  /**
   * Tells whether Anserini's impact searcher orders ties by docid on this index. It does if the reader's description, in
   * which segments name the version that wrote them, contains a text such as "lucene.version=9"; else it takes the index
   * for one of Lucene 8. That text differs between Anserini's releases, so it is read from the class itself.
   */
  private static boolean sortsTiesByDocid(DirectoryReader reader) throws IOException {
    String compiled;
    try (InputStream in = PostingReader.class.getResourceAsStream("/io/anserini/search/SimpleImpactSearcher.class")) {
      if (in == null) {
        throw new IllegalStateException("Pyserini's jar has no SimpleImpactSearcher: reinstall pyserini");
      }
      compiled = new String(in.readAllBytes(), StandardCharsets.ISO_8859_1);
    }
    Matcher wanted = Pattern.compile("lucene\\.version=\\d*").matcher(compiled);
    boolean asked = false;
    while (wanted.find()) {
      if (reader.toString().contains(wanted.group())) {
        return true;
      }
      asked = true;
    }
    return !asked;
  }

  private static Set<String> indexedFields(DirectoryReader reader) {
    Set<String> names = new TreeSet<>();
    for (LeafReaderContext leaf : reader.leaves()) {
      for (FieldInfo info : leaf.reader().getFieldInfos()) {
        if (info.getIndexOptions() != IndexOptions.NONE) {
          names.add(info.name);
        }
      }
    }
    return names;
  }

  private void documents(DirectoryReader reader, boolean useDocValues) throws IOException {
    int[] numbers = new int[BATCH_DOCUMENTS];
    int[] lengths = new int[BATCH_DOCUMENTS];
    Bytes docids = new Bytes();
    int n = 0;
    for (LeafReaderContext leaf : reader.leaves()) {
      LeafReader segment = leaf.reader();
      Bits live = segment.getLiveDocs();
      FieldInfo info = segment.getFieldInfos().fieldInfo(DOCID_FIELD);
      boolean hasValues = useDocValues && hasBinaryValues(info);
      if (hasValues && segment instanceof CodecReader) {
        ((CodecReader) segment).getDocValuesReader().checkIntegrity();
      }
      BinaryDocValues values = hasValues ? DocValues.getBinary(segment, DOCID_FIELD) : null;
      StoredFields stored = segment.storedFields();
      for (int doc = 0; doc < segment.maxDoc(); doc++) {
        if (live != null && !live.get(doc)) {
          continue;
        }
        if (n == BATCH_DOCUMENTS || docids.length >= BATCH_BYTES) {
          sendDocuments(numbers, lengths, n, docids);
          n = 0;
        }
        numbers[n] = leaf.docBase + doc;
        if (values != null && values.advanceExact(doc)) {
          BytesRef value = values.binaryValue();
          lengths[n] = docids.append(value.bytes, value.offset, value.length);
        } else {
          Document document = stored.document(doc, Set.of(DOCID_FIELD));
          String docid = document.get(DOCID_FIELD);
          if (docid == null) {
            throw new IllegalStateException(
                "Lucene document " + numbers[n] + " has no field '" + DOCID_FIELD + "', which Anserini writes");
          }
          byte[] value = docid.getBytes(StandardCharsets.UTF_8);
          lengths[n] = docids.append(value, 0, value.length);
        }
        n++;
      }
    }
    sendDocuments(numbers, lengths, n, docids);
  }

  private static boolean hasBinaryValues(FieldInfo info) {
    if (info == null) {
      return false;
    }
    String type = info.getDocValuesType().toString();
    return type.equals("BINARY") || type.equals("SORTED");
  }

  private void sendDocuments(int[] numbers, int[] lengths, int n, Bytes docids) throws IOException {
    frame(DOCUMENTS, n, docids.length, 0, 0);
    ints(numbers, n);
    ints(lengths, n);
    bytes(docids.array, 0, docids.length);
    flush();
    docids.length = 0;
  }

  /** One segment's terms, at the term that is next in the merge. */
  private static final class Segment implements Comparable<Segment> {
    final int docBase;
    final Bits live;
    final TermsEnum terms;
    BytesRef term;
    PostingsEnum postings;

    Segment(int docBase, Bits live, TermsEnum terms) throws IOException {
      this.docBase = docBase;
      this.live = live;
      this.terms = terms;
      this.term = terms.next();
    }

    @Override
    public int compareTo(Segment other) {
      int order = term.compareTo(other.term);
      return order != 0 ? order : Integer.compare(docBase, other.docBase);
    }
  }

  private void postings(DirectoryReader reader, String field) throws IOException {
    PriorityQueue<Segment> queue = new PriorityQueue<>();
    for (LeafReaderContext leaf : reader.leaves()) {
      Terms terms = leaf.reader().terms(field);
      if (terms != null) {
        if (leaf.reader() instanceof CodecReader) {
          // Lucene opens files without verifying checksums, and damaged postings would be taken for impacts.
          ((CodecReader) leaf.reader()).getPostingsReader().checkIntegrity();
        }
        Segment segment = new Segment(leaf.docBase, leaf.reader().getLiveDocs(), terms.iterator());
        if (segment.term != null) {
          queue.add(segment);
        }
      }
    }
    Sender sender = new Sender();
    try {
      merge(queue, sender);
      sender.send(false);
    } finally {
      sender.finish();  // also before an error is reported, which must not come between the bytes of a batch
    }
  }

  private static void merge(PriorityQueue<Segment> queue, Sender sender) throws IOException {
    List<Segment> same = new ArrayList<>();
    while (!queue.isEmpty()) {
      same.clear();
      long docFreq = 0;
      do {
        Segment segment = queue.poll();
        same.add(segment);
        docFreq += segment.terms.docFreq();
      } while (!queue.isEmpty() && queue.peek().term.compareTo(same.get(0).term) == 0);
      sender.startTerm(same.get(0).term, docFreq);
      for (Segment segment : same) {
        sender.add(segment);
        segment.term = segment.terms.next();
        if (segment.term != null) {
          queue.add(segment);
        }
      }
    }
  }

  /** Fills one batch while another thread writes the previous one. A term larger than a batch is sent in pieces. */
  private final class Sender {
    private final ExecutorService writer = Executors.newSingleThreadExecutor(PostingReader::daemon);
    private Batch filling = new Batch();
    private Batch writing = new Batch();
    private Future<?> written = CompletableFuture.completedFuture(null);

    void startTerm(BytesRef term, long docFreq) throws IOException {
      if (!filling.hasRoomFor(docFreq)) {
        send(false);
      }
      filling.startTerm(term.bytes, term.offset, term.length, docFreq);
    }

    void add(Segment segment) throws IOException {
      segment.postings = segment.terms.postings(segment.postings, PostingsEnum.FREQS);
      while (filling.add(segment)) {
        send(true);
      }
    }

    void send(boolean continued) throws IOException {
      finish();
      Batch full = filling;
      filling = writing;
      writing = full;
      filling.clear();
      if (continued) {
        filling.continueTermOf(full);
      }
      written = writer.submit(() -> {
        full.write(continued ? 1 : 0);
        return null;
      });
    }

    /** Waits until the writer is idle. */
    void finish() throws IOException {
      try {
        written.get();
      } catch (InterruptedException | ExecutionException e) {
        throw new IOException(e);
      }
    }
  }

  private static Thread daemon(Runnable task) {
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    return thread;
  }

  /** Whole terms up to BATCH_POSTINGS postings, or a piece of one term. */
  private final class Batch {
    private final int[] lengths = new int[BATCH_TERMS];
    private final int[] docFreqs = new int[BATCH_TERMS];
    private final int[] counts = new int[BATCH_TERMS];
    private final int[] docs = new int[BATCH_POSTINGS];
    private final int[] freqs = new int[BATCH_POSTINGS];
    private final Bytes terms = new Bytes();
    private int numTerms;
    private int numPostings;
    private boolean large;

    boolean hasRoomFor(long docFreq) {
      return numTerms == 0 || (!large && numTerms < BATCH_TERMS && terms.length < BATCH_BYTES
          && numPostings + docFreq <= BATCH_POSTINGS);
    }

    void startTerm(byte[] term, int offset, int length, long docFreq) {
      large = docFreq > BATCH_POSTINGS;
      lengths[numTerms] = terms.append(term, offset, length);
      docFreqs[numTerms] = Math.toIntExact(docFreq);
      counts[numTerms++] = 0;
    }

    void continueTermOf(Batch full) {
      startTerm(full.terms.array, 0, full.terms.length, full.docFreqs[0]);
    }

    /** Adds the segment's postings of the last term; true if there may be more for the next batch. */
    boolean add(Segment segment) throws IOException {
      int before = numPostings;
      boolean more = segment.live == null
          ? fill(segment.postings, segment.docBase)
          : fillLive(segment.postings, segment);
      counts[numTerms - 1] += numPostings - before;
      return more;
    }

    /** Copies postings until there are no more (false) or no more room (true). */
    private boolean fill(PostingsEnum postings, int docBase) throws IOException {
      int[] docs = this.docs;
      int[] freqs = this.freqs;
      int n = numPostings;
      while (n < BATCH_POSTINGS) {
        int doc = postings.nextDoc();
        if (doc == DocIdSetIterator.NO_MORE_DOCS) {
          numPostings = n;
          return false;
        }
        docs[n] = docBase + doc;
        freqs[n++] = postings.freq();
      }
      numPostings = n;
      return large;  // a term that is not large has been counted beforehand and ends here
    }

    private boolean fillLive(PostingsEnum postings, Segment segment) throws IOException {
      int n = numPostings;
      while (n < BATCH_POSTINGS) {
        int doc = postings.nextDoc();
        if (doc == DocIdSetIterator.NO_MORE_DOCS) {
          numPostings = n;
          return false;
        }
        if (segment.live.get(doc)) {
          docs[n] = segment.docBase + doc;
          freqs[n++] = postings.freq();
        }
      }
      numPostings = n;
      return large;
    }

    void write(int continued) throws IOException {
      frame(POSTINGS, numTerms, terms.length, numPostings, continued);
      ints(lengths, numTerms);
      ints(docFreqs, numTerms);
      ints(counts, numTerms);
      ints(docs, numPostings);
      ints(freqs, numPostings);
      bytes(terms.array, 0, terms.length);
      flush();
    }

    void clear() {
      numPostings = 0;
      numTerms = 0;
      terms.length = 0;
    }
  }

  /** Concatenated strings. */
  private static final class Bytes {
    byte[] array = new byte[BATCH_BYTES + MAX_TERM_BYTES];
    int length;

    int append(byte[] source, int offset, int count) {
      if (length + count > array.length) {
        array = Arrays.copyOf(array, Math.max(length + count, 2 * array.length));
      }
      System.arraycopy(source, offset, array, length, count);
      length += count;
      return count;
    }
  }

  private void frame(int kind, int a, int b, int c, int d) throws IOException {
    if (buffer.remaining() < 20) {
      flush();
    }
    buffer.putInt(kind).putInt(a).putInt(b).putInt(c).putInt(d);
  }

  private void ints(int[] source, int count) throws IOException {
    for (int done = 0; done < count; ) {
      if (buffer.remaining() < 4) {
        flush();
      }
      int part = Math.min(count - done, buffer.remaining() / 4);
      buffer.asIntBuffer().put(source, done, part);
      buffer.position(buffer.position() + 4 * part);
      done += part;
    }
  }

  private void bytes(byte[] source, int offset, int count) throws IOException {
    for (int done = 0; done < count; ) {
      if (!buffer.hasRemaining()) {
        flush();
      }
      int part = Math.min(count - done, buffer.remaining());
      buffer.put(source, offset + done, part);
      done += part;
    }
  }

  private void flush() throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
    buffer.clear();
  }
}
