// A server that speaks S3 for the tests of repositories: objects in memory, TLS, and signatures
// that are verified, which the library leaves to others.
//
//	s3 -cert server.pem -key server.key -bucket moves -access KEY -secret SECRET
//
// It prints its port and serves until its standard input ends.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	cert := flag.String("cert", "", "certificate in PEM")
	key := flag.String("key", "", "its key in PEM")
	bucket := flag.String("bucket", "moves", "the bucket that there is")
	access := flag.String("access", "", "the one access key")
	secret := flag.String("secret", "", "its secret")
	flag.Parse()
	backend := s3mem.New()
	if err := backend.CreateBucket(*bucket); err != nil {
		log.Fatal(err)
	}
	server := gofakes3.New(backend, gofakes3.WithoutVersioning())
	// Clients that refuse our certificate are what some tests want.
	quiet := log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	guarded := guard{*access, *secret, server.Server()}
	serving := http.Server{Handler: guarded, ErrorLog: quiet}
	log.Fatal(serving.ServeTLS(listener, *cert, *key))
}

type guard struct {
	access, secret string
	next           http.Handler
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if code := g.refusal(r); code != "" {
		w.Header().Set("content-type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		return
	}
	g.next.ServeHTTP(w, r)
}

// The code of the refusal; empty when the signature is right.
func (g guard) refusal(r *http.Request) string {
	fields := map[string]string{}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "AWS4-HMAC-SHA256" {
		return "AccessDenied"
	}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[0] != g.access {
		return "InvalidAccessKeyId"
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	lines := []string{r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL.Query())}
	for _, name := range names {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		lines = append(lines, name+":"+strings.TrimSpace(value))
	}
	lines = append(lines, "", fields["SignedHeaders"], r.Header.Get("X-Amz-Content-Sha256"))
	digest := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	toSign := strings.Join([]string{
		"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"),
		hex.EncodeToString(digest[:]),
	}, "\n")
	key := []byte("AWS4" + g.secret)
	for _, part := range scope[1:] {
		key = sign(key, part)
	}
	wanted := hex.EncodeToString(sign(key, toSign))
	if !hmac.Equal([]byte(wanted), []byte(fields["Signature"])) {
		return "SignatureDoesNotMatch"
	}
	return ""
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
