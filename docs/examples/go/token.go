package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
)

func main() {
	form := url.Values{
		"identity_provider": {os.Getenv("CLIENT")},
		"target":            {os.Getenv("SCOPE")},
		"resource":          {os.Getenv("RESOURCE")},
	}
	answer, err := http.PostForm(os.Getenv("TOKEN_ENDPOINT"), form)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.Error != "" {
		log.Fatal(err, token.Error)
	}
	fmt.Println(len(token.AccessToken))
}
