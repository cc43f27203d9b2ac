//! Blob and Files: every request is decided by the token and the roles.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;
use skybru_federation::azure::roles::id;

use super::sim::{ACCOUNT, TestAzure};

#[tokio::test]
async fn a_reader_reads_its_container_and_nothing_else() {
    let t = TestAzure::start().await;
    let token = t.token().await;
    let reply = t.get(&token, &t.blob_url("timetables", "line-1.csv")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "stop,departure\n"));
    assert_eq!(reply.header("content-type"), "text/csv");
    let refused = (403, "AuthorizationPermissionMismatch");
    assert_eq!(t.get(&token, &t.blob_url("private", "payroll.csv")).await.code(), refused);
    assert_eq!(t.put_blob(&token, "timetables", "line-1.csv", "x").await.code(), refused);
    assert_eq!(t.storage(&token, Method::DELETE, &t.blob_url("timetables", "line-1.csv"), &[], "").await.code(), refused);
    assert_eq!(t.get(&token, &format!("{}/{ACCOUNT}/?comp=list", t.sim.blob())).await.code(), refused);
    let text = t.get(&token, &t.blob_url("private", "payroll.csv")).await.text;
    assert!(text.contains("<Code>AuthorizationPermissionMismatch</Code>"), "{text}");
    assert!(
        text.contains("This request is not authorized to perform this operation using this permission.\nRequestId:"),
        "{text}"
    );
}

#[tokio::test]
async fn e_64_contributor_instead_of_a_data_role_reads_nothing() {
    let t = TestAzure::start().await;
    let token = t.token().await;
    t.assign(id::CONTRIBUTOR, &t.group(""), &t.principal_id).await;
    assert_eq!(t.get(&token, &t.blob_url("private", "payroll.csv")).await.status, 403);
    t.assign(id::BLOB_DATA_READER, &t.account(ACCOUNT, ""), &t.principal_id).await;
    assert_eq!(t.get(&token, &t.blob_url("private", "payroll.csv")).await.status, 200);
}

#[tokio::test]
async fn e_65_tokens_that_storage_does_not_take() {
    let t = TestAzure::start().await;
    let url = t.blob_url("timetables", "line-1.csv");
    let scope = [("scope", "https://management.azure.com/.default")];
    let reply = t.exchange_for(&t.assertion(&json!({})), &scope, &t.sim.tenant_id()).await.json();
    let wrong = t.get(reply["access_token"].as_str().unwrap(), &url).await;
    assert_eq!(wrong.code(), (401, "InvalidAuthenticationInfo"));
    assert!(wrong.text.contains("Audience validation failed. Audience did not match."), "{}", wrong.text);
    assert!(wrong.header("www-authenticate").starts_with("Bearer authorization_uri="));

    let own = t.get(&t.assertion(&json!({"aud": "https://storage.azure.com"})), &url).await;
    assert_eq!(own.code(), (401, "InvalidAuthenticationInfo"), "the issuer's own token is none of Entra's");
    let none = super::sim::read(t.http.get(&url).header("x-ms-version", "2025-05-05")).await;
    assert_eq!(none.code(), (401, "NoAuthenticationInformation"));
    let signed = super::sim::read(t.http.get(format!("{url}?sv=2025&sig=x")).header("x-ms-version", "2025-05-05")).await;
    assert_eq!(signed.code(), (403, "KeyBasedAuthenticationNotPermitted"));
    let token = t.token().await;
    let older = super::sim::read(t.http.get(&url).bearer_auth(&token).header("x-ms-version", "2016-05-31")).await;
    assert_eq!(older.status, 401);
    t.clock.advance(SignedDuration::from_hours(24));
    let late = t.get(&token, &url).await;
    assert!(late.text.contains("Lifetime validation failed. The token is expired."), "{}", late.text);
}

#[tokio::test]
async fn d_73_an_account_that_is_closed_to_the_public() {
    let t = TestAzure::start().await;
    let token = t.token().await;
    let body = json!({"properties": {"publicNetworkAccess": "Disabled"}});
    assert_eq!(t.arm(Method::PATCH, &t.account(ACCOUNT, ""), &body).await.status, 200);
    assert_eq!(t.get(&token, &t.blob_url("timetables", "line-1.csv")).await.code(), (403, "AuthorizationFailure"));
}

#[tokio::test]
async fn lists_have_prefixes_delimiters_and_pages() {
    let t = TestAzure::start().await;
    for name in ["old/line-2.csv", "new.csv", "æ & ø.csv"] {
        assert_eq!(t.put_blob(t.owner(), "timetables", name, "x").await.status, 201);
    }
    let token = t.token().await;
    let list = async |query: &str| {
        let url = format!("{}?restype=container&comp=list{query}", t.blob_url("timetables", "").trim_end_matches('/'));
        t.get(&token, &url).await.text
    };
    let names = |text: &str| {
        text.split("<Name>").skip(1).map(|rest| rest.split("</Name>").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&list("").await), ["line-1.csv", "new.csv", "old/line-0.csv", "old/line-2.csv", "æ &amp; ø.csv"]);
    assert_eq!(names(&list("&prefix=old/").await), ["old/line-0.csv", "old/line-2.csv"]);
    let folders = list("&delimiter=/").await;
    assert!(folders.contains("<BlobPrefix><Name>old/</Name></BlobPrefix>"));
    assert_eq!(names(&folders).len(), 4);
    let first = list("&maxresults=2").await;
    assert!(first.contains("<NextMarker>old/line-0.csv</NextMarker>"), "{first}");
    assert_eq!(names(&list("&maxresults=2&marker=old/line-0.csv").await), ["old/line-0.csv", "old/line-2.csv"]);
}

#[tokio::test]
async fn blobs_have_ranges_conditions_metadata_and_copies() {
    let t = TestAzure::start().await;
    let url = t.blob_url("timetables", "line-1.csv");
    let part = t.storage(t.owner(), Method::GET, &url, &[("x-ms-range", "bytes=5-13")], "").await;
    assert_eq!((part.status, part.text.as_str(), part.header("content-range")), (206, "departure", "bytes 5-13/15"));
    assert_eq!(t.storage(t.owner(), Method::GET, &url, &[("range", "bytes=99-")], "").await.code(), (416, "InvalidRange"));
    let head = t.storage(t.owner(), Method::HEAD, &url, &[], "").await;
    assert_eq!((head.status, head.header("content-length"), head.header("x-ms-blob-type")), (200, "15", "BlockBlob"));
    let etag = head.header("etag");
    assert_eq!(t.storage(t.owner(), Method::GET, &url, &[("if-none-match", etag)], "").await.status, 304);
    assert_eq!(t.storage(t.owner(), Method::GET, &url, &[("if-match", "\"other\"")], "").await.code(), (412, "ConditionNotMet"));
    let new = [("x-ms-blob-type", "BlockBlob"), ("if-none-match", "*")];
    assert_eq!(t.storage(t.owner(), Method::PUT, &url, &new, "y").await.code(), (409, "BlobAlreadyExists"));
    let metadata = [("x-ms-meta-line", "1")];
    assert_eq!(t.storage(t.owner(), Method::PUT, &format!("{url}?comp=metadata"), &metadata, "").await.status, 200);
    let copied = t.blob_url("timetables", "copy.csv");
    assert_eq!(t.storage(t.owner(), Method::PUT, &copied, &[("x-ms-copy-source", &url)], "").await.status, 202);
    let copy = t.get(t.owner(), &copied).await;
    assert_eq!((copy.text.as_str(), copy.header("x-ms-meta-line")), ("stop,departure\n", "1"));
    assert_eq!(t.storage(t.owner(), Method::DELETE, &copied, &[], "").await.status, 202);
    assert_eq!(t.get(t.owner(), &copied).await.code(), (404, "BlobNotFound"));
    let bad = [("x-ms-blob-type", "BlockBlob"), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    assert_eq!(t.storage(t.owner(), Method::PUT, &copied, &bad, "y").await.code(), (400, "Md5Mismatch"));
}

#[tokio::test]
async fn blocks_are_put_together_in_the_order_of_the_list() {
    let t = TestAzure::start().await;
    let url = t.blob_url("timetables", "big.bin");
    for (id, body) in [("Mg==", "two"), ("MQ==", "one")] {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        assert_eq!(t.storage(t.owner(), Method::PUT, &format!("{url}?comp=block&blockid={id}"), &[], body).await.status, 201);
    }
    assert_eq!(t.get(t.owner(), &url).await.status, 404, "nothing is there before the list");
    let blocks = async |kind: &str| t.get(t.owner(), &format!("{url}?comp=blocklist{kind}")).await.text;
    let list = |committed: &str, staged: &str| {
        let of = |name: &str, ids: &str| {
            let blocks: String = ids
                .split_whitespace()
                .fold(String::new(), |text, id| text + &format!("<Block><Name>{id}</Name><Size>3</Size></Block>"));
            format!("<{name}>{blocks}</{name}>")
        };
        format!("<BlockList>{}{}</BlockList>", of("CommittedBlocks", committed), of("UncommittedBlocks", staged))
    };
    assert!(blocks("&blocklisttype=all").await.ends_with(&list("", "MQ== Mg==")), "{}", blocks("&blocklisttype=all").await);
    assert!(blocks("&blocklisttype=uncommitted").await.contains("MQ==") && !blocks("").await.contains("MQ=="));
    let (block, wrong) = (format!("{url}?comp=block&blockid=Mw%3D%3D"), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="));
    assert_eq!(t.storage(t.owner(), Method::PUT, &block, &[wrong], "x").await.code(), (400, "Md5Mismatch"));
    let commit = async |ids: &str| {
        let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>");
        t.storage(t.owner(), Method::PUT, &format!("{url}?comp=blocklist"), &[], &list).await
    };
    assert_eq!(commit("<Latest>MQ==</Latest><Latest>Mg==</Latest>").await.status, 201);
    assert_eq!(t.get(t.owner(), &url).await.text, "onetwo");
    assert!(blocks("&blocklisttype=all").await.ends_with(&list("MQ== Mg==", "")), "what is not in the list is forgotten");
    assert_eq!(commit("<Committed>Mg==</Committed>").await.status, 201);
    assert_eq!(t.get(t.owner(), &url).await.text, "two");
    assert_eq!(commit("<Latest>Mw==</Latest>").await.code(), (400, "InvalidBlockList"));
    // A document that is more or less than a list writes nothing: not an empty blob, and not the half that came.
    let raw = async |text: &str| t.storage(t.owner(), Method::PUT, &format!("{url}?comp=blocklist"), &[], text).await;
    for wrong in [
        "<!DOCTYPE a [<!ENTITY b \"Mg==\">]><BlockList><Latest>&b;</Latest></BlockList>",
        "<BlockList><Latest>Mg==</Latest>",
        "<BlockList><Latest>Mg==",
        "<BlockList><Newest>Mg==</Newest></BlockList>",
        "<BlockList>Mg==</BlockList>",
        "",
    ] {
        assert_eq!(raw(wrong).await.code(), (400, "InvalidXmlDocument"), "{wrong}");
    }
    assert_eq!(t.get(t.owner(), &url).await.text, "two");
    assert_eq!(raw("<BlockList/>").await.status, 201, "an empty blob is what this asks for");
}

#[tokio::test]
async fn e_65_files_are_opened_by_intent_and_role() {
    let t = TestAzure::start().await;
    let share = t.account(ACCOUNT, "/fileServices/default/fileshares/files");
    let url = |path: &str| format!("{}/{ACCOUNT}/files/{path}", t.sim.file());
    let intent = ("x-ms-file-request-intent", "backup");
    let put = async |path: &str, headers: &[(&str, &str)], body: &str| {
        t.storage(t.owner(), Method::PUT, &url(path), headers, body).await
    };
    assert_eq!(put("out?restype=directory", &[intent], "").await.status, 201);
    assert_eq!(put("out/a.txt", &[intent, ("x-ms-type", "file"), ("x-ms-content-length", "5")], "").await.status, 201);
    let range = [intent, ("x-ms-range", "bytes=0-4"), ("x-ms-write", "update")];
    assert_eq!(put("out/a.txt?comp=range", &range, "hello").await.status, 201);
    assert_eq!(
        put("no/a.txt", &[intent, ("x-ms-type", "file"), ("x-ms-content-length", "5")], "").await.code(),
        (404, "ParentNotFound")
    );

    let token = t.token().await;
    let get = async |headers: &[(&str, &str)]| t.storage(&token, Method::GET, &url("out/a.txt"), headers, "").await;
    assert_eq!(get(&[intent]).await.code(), (403, "AuthorizationPermissionMismatch"));
    t.assign(id::FILE_DATA_PRIVILEGED_READER, &share, &t.principal_id).await;
    assert_eq!(get(&[intent]).await.text, "hello");
    assert_eq!(get(&[]).await.code(), (400, "MissingRequiredHeader"));
    let listed = t.storage(&token, Method::GET, &url("out?restype=directory&comp=list"), &[intent], "").await;
    assert!(listed.text.contains("<File><Name>a.txt</Name>"), "{}", listed.text);
    let refused = t.storage(&token, Method::DELETE, &url("out/a.txt"), &[intent], "").await;
    assert_eq!(refused.code(), (403, "AuthorizationPermissionMismatch"));
    assert_eq!(t.storage(t.owner(), Method::DELETE, &url("out/a.txt"), &[intent], "").await.status, 202);
}

/// What is larger than is held in memory lies in a file on its way, whichever way it comes, and nothing of it stays behind.
#[tokio::test]
async fn large_bodies_arrive_whole_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let t = TestAzure::with(super::sim::Settings::default(), Some(folder.path().to_owned())).await;
    let drafts = || std::fs::read_dir(folder.path().join("storage/drafts")).unwrap().count();
    t.assign(id::BLOB_DATA_CONTRIBUTOR, &t.container("timetables"), &t.principal_id).await;
    let token = t.token().await;
    let large = (0..150_000).fold(String::new(), |text, number| text + &format!("line {number:08}\n"));
    let url = t.blob_url("timetables", "large");
    let kind = ("x-ms-blob-type", "BlockBlob");
    let put = t.storage(&token, Method::PUT, &url, &[kind], &large).await;
    assert_eq!((put.status, t.get(&token, &url).await.text == large, drafts()), (201, true, 0), "{}", put.text);
    let sum = put.header("content-md5").to_owned();
    let again = t.storage(&token, Method::PUT, &url, &[kind, ("content-md5", &sum)], &large).await;
    assert_eq!(again.status, 201);
    let wrong = t.storage(&token, Method::PUT, &url, &[kind, ("content-md5", &sum)], &large[1..]).await;
    assert_eq!((wrong.code(), drafts()), ((400, "Md5Mismatch"), 0));

    for block in ["QQ==", "Qg=="] {
        let staged = t.storage(&token, Method::PUT, &format!("{url}?comp=block&blockid={block}"), &[], &large).await;
        assert_eq!(staged.status, 201, "{}", staged.text);
    }
    let list = "<?xml version=\"1.0\"?><BlockList><Latest>QQ==</Latest><Latest>Qg==</Latest></BlockList>";
    assert_eq!(t.storage(&token, Method::PUT, &format!("{url}?comp=blocklist"), &[], list).await.status, 201);
    assert_eq!((t.get(&token, &url).await.text == large.repeat(2), drafts()), (true, 0));
    let copy = t.storage(&token, Method::PUT, &t.blob_url("timetables", "copy"), &[("x-ms-copy-source", &url)], "").await;
    assert_eq!((copy.status, t.get(&token, &t.blob_url("timetables", "copy")).await.text.len()), (202, large.len() * 2));

    // Nobody who is unknown has anything written, and whoever may not write leaves nothing.
    let stranger = t.storage("nobody", Method::PUT, &url, &[kind], &large).await;
    assert_eq!((stranger.code(), drafts()), ((401, "InvalidAuthenticationInfo"), 0));
    let elsewhere = t.storage(&token, Method::PUT, &t.blob_url("private", "large"), &[kind], &large).await;
    assert_eq!((elsewhere.code(), drafts()), ((403, "AuthorizationPermissionMismatch"), 0));
}

/// As `az storage blob set-tier` asks.
#[tokio::test]
async fn a_blob_keeps_its_access_tier() {
    let t = TestAzure::start().await;
    t.assign(id::BLOB_DATA_CONTRIBUTOR, &t.container("timetables"), &t.principal_id).await;
    let token = t.token().await;
    let url = t.blob_url("timetables", "line-1.csv");
    let tier =
        async |tier: &str| t.storage(&token, Method::PUT, &format!("{url}?comp=tier"), &[("x-ms-access-tier", tier)], "").await;
    assert_eq!(t.get(&token, &url).await.header("x-ms-access-tier"), "Hot");
    assert_eq!(tier("Cool").await.status, 200);
    assert_eq!(t.get(&token, &url).await.header("x-ms-access-tier"), "Cool");
    assert_eq!(tier("Lukewarm").await.code(), (400, "InvalidHeaderValue"));
}
