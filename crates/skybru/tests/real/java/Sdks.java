import com.azure.core.credential.TokenCredential;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.identity.WorkloadIdentityCredentialBuilder;
import com.azure.storage.blob.BlobServiceClientBuilder;
import com.google.auth.oauth2.GoogleCredentials;
import com.google.cloud.storage.StorageOptions;
import software.amazon.awssdk.services.s3.S3Client;

/** Reads one object with a cloud's own SDK, which finds its credentials in the environment alone; see ../go/main.go. */
public final class Sdks {
  public static void main(String[] arguments) throws Exception {
    String bucket = arguments[1], key = arguments[2];
    try {
      byte[] content = switch (arguments[0]) {
        case "aws" -> aws(bucket, key);
        case "google" -> google(bucket, key);
        default -> azure(arguments[0], bucket, key);
      };
      System.out.write(content);
      System.out.flush();
      System.exit(0);
    } catch (Exception error) {
      for (Throwable cause = error; cause != null; cause = cause.getCause()) System.err.println(cause);
      System.exit(1);
    }
  }

  private static byte[] aws(String bucket, String key) {
    try (S3Client client = S3Client.builder().forcePathStyle(true).build()) {
      return client.getObjectAsBytes(request -> request.bucket(bucket).key(key)).asByteArray();
    }
  }

  private static byte[] google(String bucket, String key) throws Exception {
    return StorageOptions.newBuilder()
        .setHost(System.getenv("STORAGE_EMULATOR_HOST"))
        .setCredentials(GoogleCredentials.getApplicationDefault())
        .build()
        .getService()
        .readAllBytes(bucket, key);
  }

  private static byte[] azure(String which, String bucket, String key) {
    TokenCredential credential = switch (which) {
      case "azure-default" -> new DefaultAzureCredentialBuilder().build();
      case "azure-managed" -> new ManagedIdentityCredentialBuilder().build();
      // A local authority is not in Microsoft's list, which the SDK would ask else.
      case "azure-workload" -> new WorkloadIdentityCredentialBuilder().disableInstanceDiscovery().build();
      default -> throw new IllegalArgumentException(which);
    };
    return new BlobServiceClientBuilder()
        .endpoint(System.getenv("AZURE_STORAGE_BLOB_ENDPOINT"))
        .credential(credential)
        .buildClient()
        .getBlobContainerClient(bucket)
        .getBlobClient(key)
        .downloadContent()
        .toBytes();
  }
}
