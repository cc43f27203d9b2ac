// Reads one object with a cloud's own SDK, which finds its credentials in the environment alone. The first argument names the cloud and,
// for Azure, the kind of credential; the others are bucket or container, and object. Prints the object; what the SDK says of a refusal goes
// to stderr, with exit code 1.
//
// Google's credentials are those of its storage client, cloud.google.com/go/auth; the client itself would double what there is to compile.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"cloud.google.com/go/auth/credentials"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	content, err := read(context.Background(), os.Args[1], os.Args[2], os.Args[3])
	if err == nil {
		defer content.Close()
		_, err = io.Copy(os.Stdout, content)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(ctx context.Context, which, bucket, key string) (io.ReadCloser, error) {
	switch which {
	case "aws":
		return fromS3(ctx, bucket, key)
	case "google":
		return fromCloudStorage(ctx, bucket, key)
	default:
		return fromBlob(ctx, which, bucket, key)
	}
}

func fromS3(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) { options.UsePathStyle = true })
	answer, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

func fromCloudStorage(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	scopes := []string{"https://www.googleapis.com/auth/devstorage.read_only"}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: scopes})
	if err != nil {
		return nil, err
	}
	token, err := found.Token(ctx)
	if err != nil {
		return nil, err
	}
	object := os.Getenv("STORAGE_EMULATOR_HOST") + "/storage/v1/b/" + bucket + "/o/" + url.PathEscape(key) + "?alt=media"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, object, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token.Value)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%s: %s", answer.Status, text)
	}
	return answer.Body, nil
}

func fromBlob(ctx context.Context, which, container, key string) (io.ReadCloser, error) {
	credential, err := azure(which)
	if err != nil {
		return nil, err
	}
	client, err := azblob.NewClient(os.Getenv("AZURE_STORAGE_BLOB_ENDPOINT"), credential, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.DownloadStream(ctx, container, key, nil)
	return answer.Body, err
}

// A local authority is not in Microsoft's list, which the SDK would ask else.
func azure(which string) (azcore.TokenCredential, error) {
	once := azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}
	switch which {
	case "azure-default":
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: once})
	case "azure-managed":
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: once})
	case "azure-workload":
		options := azidentity.WorkloadIdentityCredentialOptions{ClientOptions: once, DisableInstanceDiscovery: true}
		return azidentity.NewWorkloadIdentityCredential(&options)
	default:
		return nil, fmt.Errorf("no such credential: %s", which)
	}
}
