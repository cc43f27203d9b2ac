// The OpenID Connect authenticator of Kubernetes' API server, as a filter: a token a line in, a verdict a line out.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

func main() {
	authority, err := dynamiccertificates.NewDynamicCAContentFromFile("issuer", os.Getenv("CA_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	context := context.Background()
	unprefixed := ""
	authenticator, err := oidc.New(context, oidc.Options{
		JWTAuthenticator: apiserver.JWTAuthenticator{
			Issuer:        apiserver.Issuer{URL: os.Getenv("SKYPORTEN"), Audiences: []string{os.Getenv("RESOURCE")}},
			ClaimMappings: apiserver.ClaimMappings{Username: apiserver.PrefixedClaimOrExpression{Claim: "sub", Prefix: &unprefixed}},
		},
		CAContentProvider: authority,
	})
	if err != nil {
		log.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); authenticator.HealthCheck() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log.Fatal(authenticator.HealthCheck())
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		answer, known, err := authenticator.AuthenticateToken(context, lines.Text())
		switch {
		case err != nil:
			fmt.Println("refused:", strings.ReplaceAll(err.Error(), "\n", " "))
		case !known:
			fmt.Println("refused: not for this issuer")
		default:
			fmt.Println(answer.User.GetName())
		}
	}
}
