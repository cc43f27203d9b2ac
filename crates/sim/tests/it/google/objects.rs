//! Cloud Storage: the JSON API, uploads of every kind, the XML API.

use reqwest::Method;
use serde_json::json;

use super::{BUCKET, Google, OWNER_TOKEN, TestIssuer, token};

async fn google() -> Google {
    Google::shared(&TestIssuer::http().await).await
}

#[tokio::test]
async fn lists_have_pages_prefixes_and_folders() {
    let google = google().await;
    for name in ["a", "a/b", "a/c/d", "b", "timetables/line-2.csv"] {
        google.put(&name.replace('/', "%2F"), b"x").await.ok();
    }
    let list = async |query: &str| google.get(&format!("storage/v1/b/{BUCKET}/o?{query}"), OWNER_TOKEN).await.ok();
    let names = |body: &serde_json::Value| -> Vec<String> {
        body["items"].as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let top = list("delimiter=/").await;
    assert_eq!(names(&top), ["a", "b"]);
    assert_eq!(top["prefixes"], json!(["a/", "private/", "timetables/"]));
    assert_eq!(names(&list("prefix=timetables/").await), ["timetables/line-1.csv", "timetables/line-2.csv"]);
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page =
            list(format!("maxResults=2&pageToken={token}").replace("&pageToken=&", "").trim_end_matches("&pageToken=")).await;
        all.extend(names(&page));
        match page["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(all, ["a", "a/b", "a/c/d", "b", "private/payroll.csv", "timetables/line-1.csv", "timetables/line-2.csv"]);
}

/// G-72.
#[tokio::test]
async fn an_object_is_described_with_hashes_and_a_link_back() {
    let google = google().await;
    let object = google.get(&format!("storage/v1/b/{BUCKET}/o/timetables%2Fline-1.csv"), OWNER_TOKEN).await.ok();
    assert_eq!(object["size"], "13");
    assert_eq!(object["contentType"], "text/csv");
    // openssl md5 -binary | base64, and the CRC32C of the same bytes.
    assert_eq!(object["md5Hash"], "B46ArNqcnh7udeW2GB18HA==");
    assert_eq!(object["crc32c"].as_str().unwrap().len(), 8);
    let link = object["mediaLink"].as_str().unwrap();
    assert!(link.starts_with(&google.sim.base_url()), "{link}");
    let bytes = google.client.get(link).bearer_auth(OWNER_TOKEN).header("range", "bytes=7-11").send().await.unwrap();
    assert_eq!((bytes.status().as_u16(), bytes.headers()["content-range"].to_str().unwrap()), (206, "bytes 7-11/13"));
    assert_eq!(bytes.text().await.unwrap(), "07:10");
    let missing = google.get(&format!("storage/v1/b/{BUCKET}/o/absent"), OWNER_TOKEN).await;
    assert_eq!(missing.message(), (404, format!("No such object: {BUCKET}/absent").as_str()));
}

#[tokio::test]
async fn a_description_and_bytes_come_in_one_body() {
    let google = google().await;
    let send = async |hash: &str| {
        let body = format!(
            "--==b==\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{{\"name\":\"m.txt\",\"metadata\":{{\"k\":\"v\"}}{hash}}}\r\n\
             --==b==\r\ncontent-type: text/plain\r\n\r\nhello\r\n--==b==--"
        );
        let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=multipart", google.sim.base_url());
        let kind = "multipart/related; boundary=\"==b==\"";
        google.client.post(url).bearer_auth(OWNER_TOKEN).header("content-type", kind).body(body).send().await.unwrap()
    };
    let wrong = send(r#","md5Hash":"AAAAAAAAAAAAAAAAAAAAAA==""#).await;
    assert_eq!(wrong.status().as_u16(), 400);
    let stored = send("").await.json::<serde_json::Value>().await.unwrap();
    assert_eq!((stored["contentType"].as_str(), stored["metadata"]["k"].as_str()), (Some("text/plain"), Some("v")));
    assert_eq!(google.read(OWNER_TOKEN, "m.txt").await.body, "hello");
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_was() {
    let google = google().await;
    let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=big", google.sim.base_url());
    let begun =
        google.client.post(url).bearer_auth(OWNER_TOKEN).json(&json!({"contentType": "text/plain"})).send().await.unwrap();
    let session = begun.headers()["location"].to_str().unwrap().to_owned();
    let chunk = async |range: &str, bytes: &'static str| {
        let request = google.client.put(&session).header("content-range", range).body(bytes);
        let answer = request.send().await.unwrap();
        let had = answer.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        (answer.status().as_u16(), had)
    };
    assert_eq!(chunk("bytes */10", "").await, (308, None));
    assert_eq!(chunk("bytes 0-3/10", "0123").await, (308, Some("bytes=0-3".to_owned())));
    // What was sent already, and what would leave a hole, is not taken.
    assert_eq!(chunk("bytes 0-3/10", "0123").await, (308, Some("bytes=0-3".to_owned())));
    assert_eq!(chunk("bytes 8-9/10", "89").await, (308, Some("bytes=0-3".to_owned())));
    assert_eq!(chunk("bytes */10", "").await, (308, Some("bytes=0-3".to_owned())));
    assert_eq!(chunk("bytes 4-9/10", "456789").await.0, 200);
    assert_eq!(google.get(&format!("storage/v1/b/{BUCKET}/o/big?alt=media"), OWNER_TOKEN).await.body, "0123456789");
    assert_eq!(chunk("bytes */10", "").await.0, 404, "the session is over");
}

#[tokio::test]
async fn preconditions_copies_and_deletes() {
    let google = google().await;
    let object = format!("storage/v1/b/{BUCKET}/o/timetables%2Fline-1.csv");
    let generation = google.get(&object, OWNER_TOKEN).await.ok()["generation"].as_str().unwrap().to_owned();
    let upload = async |condition: &str| {
        let url = format!(
            "{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=timetables/line-1.csv&{condition}",
            google.sim.base_url()
        );
        google.client.post(url).bearer_auth(OWNER_TOKEN).body("new").send().await.unwrap().status().as_u16()
    };
    assert_eq!(upload("ifGenerationMatch=0").await, 412);
    let copy = format!("{object}/rewriteTo/b/{BUCKET}/o/copy.csv");
    let copied = google.owner(Method::POST, &copy, &json!({})).await.ok();
    assert_eq!((copied["done"].as_bool(), copied["resource"]["contentType"].as_str()), (Some(true), Some("text/csv")));
    assert_eq!(upload(&format!("ifGenerationMatch={generation}")).await, 200);
    assert_eq!(upload(&format!("ifGenerationMatch={generation}")).await, 412, "it is another generation now");
    let compose = format!("storage/v1/b/{BUCKET}/o/both/compose");
    let sources = json!({"sourceObjects": [{"name": "copy.csv"}, {"name": "timetables/line-1.csv"}]});
    google.owner(Method::POST, &compose, &sources).await.ok();
    assert_eq!(google.read(OWNER_TOKEN, "both").await.body, "Bergen,07:10\nnew");
    assert_eq!(google.call(Method::DELETE, &object, None, Some(OWNER_TOKEN)).await.status, 204);
    assert_eq!(google.call(Method::DELETE, &object, None, Some(OWNER_TOKEN)).await.status, 404);
}

#[tokio::test]
async fn the_xml_api_reads_writes_and_lists() {
    let google = google().await;
    let url = |path: &str| format!("{}/{BUCKET}{path}", google.sim.base_url());
    let send = async |method: Method, path: &str, body: &'static str, headers: &[(&str, &str)]| {
        let mut request = google.client.request(method, url(path)).bearer_auth(OWNER_TOKEN).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let etag = answer.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned()).unwrap_or_default();
        (answer.status().as_u16(), etag, answer.text().await.unwrap())
    };
    let create = [("x-goog-if-generation-match", "0")];
    assert_eq!(send(Method::PUT, "/x%2Fy", "hello", &create).await.0, 200);
    assert_eq!(send(Method::PUT, "/x%2Fy", "hello", &create).await.0, 412);
    assert_eq!(
        send(Method::GET, "/x/y", "", &[("range", "bytes=1-3")]).await,
        (206, "\"5d41402abc4b2a76b9719d911017c592\"".to_owned(), "ell".to_owned())
    );
    let source = format!("{BUCKET}/x%2Fy");
    assert_eq!(send(Method::PUT, "/copy", "", &[("x-goog-copy-source", &source)]).await.0, 200);
    let (_, _, list) = send(Method::GET, "?list-type=2&delimiter=/", "", &[]).await;
    assert!(list.contains("<Key>copy</Key>") && list.contains("<Prefix>x/</Prefix>"), "{list}");
    let (_, _, begun) = send(Method::POST, "/parts?uploads", "", &[]).await;
    let id = begun.split_once("<UploadId>").unwrap().1.split_once('<').unwrap().0.to_owned();
    let (_, one, _) = send(Method::PUT, &format!("/parts?partNumber=1&uploadId={id}"), "foo", &[]).await;
    let (_, two, _) = send(Method::PUT, &format!("/parts?partNumber=2&uploadId={id}"), "bar", &[]).await;
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{one}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{two}</ETag></Part></CompleteMultipartUpload>"
    );
    let completed =
        google.client.post(url(&format!("/parts?uploadId={id}"))).bearer_auth(OWNER_TOKEN).body(parts).send().await.unwrap();
    assert_eq!(completed.status().as_u16(), 200);
    assert_eq!(send(Method::GET, "/parts", "", &[]).await.2, "foobar");
    assert_eq!(send(Method::DELETE, "/parts", "", &[]).await.0, 204);
    assert!(send(Method::GET, "/parts", "", &[]).await.2.contains("<Code>NoSuchKey</Code>"));
}

#[tokio::test]
async fn a_federated_token_reads_what_is_bound_to_it_and_no_more() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let refused = google.read(&federated, "timetables/line-1.csv").await;
    assert!(refused.message().1.starts_with("Caller does not have storage.objects.get access"), "{refused:?}");
    let anonymous = google.call(Method::GET, &format!("storage/v1/b/{BUCKET}/o"), None, None).await;
    assert!(anonymous.message().1.starts_with("Anonymous caller does not have storage.objects.list access"), "{anonymous:?}");
    // With a condition on the name the rest of the bucket stays closed.
    let condition = json!({"title": "timetables", "expression": format!("resource.name.startsWith('projects/_/buckets/{BUCKET}/objects/timetables/')")});
    let binding = json!({"role": "roles/storage.objectViewer", "members": [super::member()], "condition": condition});
    let path = format!("storage/v1/b/{BUCKET}/iam");
    google.owner(Method::PUT, &path, &json!({"version": 3, "bindings": [binding]})).await.ok();
    assert_eq!(google.read(&federated, "timetables/line-1.csv").await.status, 200);
    assert_eq!(google.read(&federated, "private/payroll.csv").await.status, 403);
    assert_eq!(
        google.get(&format!("storage/v1/b/{BUCKET}/o/x?alt=media"), "ya29.bad").await.message(),
        (401, "Invalid Credentials")
    );
}
