import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import no.ks.fiks.maskinporten.Maskinportenklient;
import no.ks.fiks.maskinporten.MaskinportenklientBuilder;
import no.ks.fiks.maskinporten.MaskinportenklientProperties;
import no.ks.fiks.maskinporten.error.MaskinportenTokenRequestException;

/** The client of KS. Prints a line for each thing proven; stops at the first that is not so. */
class KsRoad {
    static final String ISSUER = System.getenv("MASKINPORTEN");
    static final String SCOPE = System.getenv("SCOPE");

    public static void main(String[] args) throws Exception {
        var certificate = System.getenv("CERTIFICATE");
        if (certificate == null) {
            withAKey();
        } else {
            withACertificate(Files.readString(Path.of(certificate)));
        }
    }

    static void withAKey() throws Exception {
        var key = RSAKey.parse(Files.readString(Path.of(System.getenv("CLIENT_JWK"))));
        var client = client(Maskinportenklient.builder().withPrivateKey(key.toPrivateKey()).usingAsymmetricKey(key.getKeyID()));

        var text = client.getAccessToken(SCOPE);
        must(claims(text).getClaim("scope").equals(SCOPE) && claims(text).getClaim("consumer") instanceof Map, text);
        System.out.println("a token");

        must(text.equals(client.getAccessToken(SCOPE)), "the second token is another");
        System.out.println("kept until it is nearly over");

        var audience = "https://api.example.no";
        must(claims(client.getAccessTokenWithAudience(audience, SCOPE)).getAudience().equals(List.of(audience)), "another audience");
        System.out.println("for one resource");

        refused("invalid_scope", "no:such.scope", () -> client.getAccessToken("no:such.scope"));
        refused("invalid_request", "consumer_org", () -> client.getDelegatedAccessToken("974760673", SCOPE));
    }

    static void withACertificate(String pem) throws Exception {
        var text = Files.readString(Path.of(System.getenv("PRIVATE_KEY"))).replaceAll("-----[A-Z ]+-----|\\s", "");
        var key = java.security.KeyFactory.getInstance("RSA")
                .generatePrivate(new java.security.spec.PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
        var factory = CertificateFactory.getInstance("X.509");
        var certificate = (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(pem.getBytes()));
        var client = client(Maskinportenklient.builder().withPrivateKey(key).usingVirksomhetssertifikat(certificate));
        must("virksomhetssertifikat".equals(claims(client.getAccessToken(SCOPE)).getClaim("client_amr")), "no business certificate");
        System.out.println("a token for a business certificate");
    }

    static Maskinportenklient client(MaskinportenklientBuilder builder) {
        var properties = MaskinportenklientProperties.builder()
                .audience(ISSUER).tokenEndpoint(ISSUER + "token").issuer(System.getenv("CLIENT_ID"))
                .numberOfSecondsLeftBeforeExpire(10).timeoutMillis(10_000).build();
        return builder.withProperties(properties).build();
    }

    static JWTClaimsSet claims(String token) throws Exception {
        return SignedJWT.parse(token).getJWTClaimsSet();
    }

    static void refused(String code, String word, Runnable request) {
        try {
            request.run();
        } catch (MaskinportenTokenRequestException refusal) {
            var said = refusal.getMaskinportenError();
            must(refusal.getStatusCode() == 400 && said.contains('"' + code + '"') && said.contains(word), said);
            System.out.println("refused: " + code);
            return;
        }
        throw new AssertionError(code + " was expected");
    }

    static void must(boolean so, String otherwise) {
        if (!so) throw new AssertionError(otherwise);
    }
}
