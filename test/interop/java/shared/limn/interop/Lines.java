package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * One long-lived process for many requests: one JSON object a line on standard input, one answer a line on standard
 * output, in order. A request that fails answers `error`; the process goes on.
 */
final class Lines {
  static final ObjectMapper JSON = new ObjectMapper();

  /** Answers one request. */
  interface Handler {
    ObjectNode answer(JsonNode request) throws Exception;
  }

  /** Serves until standard input ends. What libraries print goes to standard error. */
  static void serve(Handler handler) throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    System.setOut(System.err);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      ObjectNode reply;
      try {
        reply = handler.answer(JSON.readTree(line));
      } catch (Throwable error) {
        reply = JSON.createObjectNode();
        reply.put("error", describe(error));
        if (System.getenv("LIMN_DEBUG") != null) error.printStackTrace();
      }
      out.println(JSON.writeValueAsString(reply));
      out.flush();
    }
  }

  /** The error and its causes, each once. */
  private static String describe(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable at = error; at != null; at = at.getCause()) {
      String one = at.getClass().getSimpleName() + ": " + at.getMessage();
      if (text.indexOf(one) < 0) text.append(text.length() == 0 ? "" : " <- ").append(one);
    }
    return text.toString();
  }

  private Lines() {}
}
