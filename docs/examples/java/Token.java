import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

public class Token {
    public static void main(String[] arguments) throws Exception {
        var form = "identity_provider=" + encoded("CLIENT") + "&target=" + encoded("SCOPE") + "&resource=" + encoded("RESOURCE");
        var request = HttpRequest.newBuilder(URI.create(System.getenv("TOKEN_ENDPOINT")))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
        // A JSON library does this better; the standard library has none.
        var token = Pattern.compile("\"access_token\"\\s*:\\s*\"([^\"]+)\"").matcher(answer);
        if (!token.find()) throw new IllegalStateException(answer);
        System.out.println(token.group(1).length());
    }

    private static String encoded(String name) {
        return URLEncoder.encode(System.getenv(name), StandardCharsets.UTF_8);
    }
}
