//! Data Lake Gen2: lists decide where no role does (E-67).

use reqwest::Method;
use skybru_federation::azure::roles::id;

use super::sim::{LAKE, TestAzure};

/// A file in two folders, made by the owner.
async fn with_a_file() -> TestAzure {
    let t = TestAzure::start().await;
    for folder in ["lake/out", "lake/out/day"] {
        assert_eq!(
            t.storage(t.owner(), Method::PUT, &t.lake_url(&format!("{folder}?resource=directory")), &[], "").await.status,
            201
        );
    }
    write(&t, "lake/out/day/a.csv", "hello").await;
    t
}

async fn write(t: &TestAzure, path: &str, body: &str) {
    let put = |query: &str| t.lake_url(&format!("{path}?{query}"));
    assert_eq!(t.storage(t.owner(), Method::PUT, &put("resource=file"), &[], "").await.status, 201);
    assert_eq!(t.storage(t.owner(), Method::PATCH, &put("action=append&position=0"), &[], body).await.status, 202);
    let flush = format!("action=flush&position={}", body.len());
    assert_eq!(t.storage(t.owner(), Method::PATCH, &put(&flush), &[], "").await.status, 200);
}

async fn set_acl(t: &TestAzure, path: &str, acl: &str) {
    let url = t.lake_url(&format!("{path}?action=setAccessControl"));
    let reply = t.storage(t.owner(), Method::PATCH, &url, &[("x-ms-acl", acl)], "").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn e_67_a_file_is_read_by_its_list_if_every_folder_lets_through() {
    let t = with_a_file().await;
    let token = t.token().await;
    let file = t.lake_url("lake/out/day/a.csv");
    let refused = (403, "AuthorizationPermissionMismatch");
    assert_eq!(t.get(&token, &file).await.code(), refused);
    set_acl(&t, "lake/out/day/a.csv", &format!("user:{}:r--", t.principal_id)).await;
    for folder in ["lake/", "lake/out", "lake/out/day"] {
        assert_eq!(t.get(&token, &file).await.code(), refused, "before {folder} lets through");
        set_acl(&t, folder, &format!("user:{}:--x", t.principal_id)).await;
    }
    assert_eq!(t.get(&token, &file).await.text, "hello");
    assert_eq!(t.storage(&token, Method::DELETE, &file, &[], "").await.code(), refused);
    let listing = t.lake_url("lake?resource=filesystem&recursive=false&directory=out/day");
    assert_eq!(t.get(&token, &listing).await.code(), refused, "listing asks for r-x");
    // The client id in a list opens nothing (D-63).
    set_acl(&t, "lake/out/day/a.csv", &format!("user:{}:r--", t.client_id)).await;
    assert_eq!(t.get(&token, &file).await.code(), refused);
}

#[tokio::test]
async fn e_67_a_data_role_needs_no_list() {
    let t = with_a_file().await;
    let token = t.token().await;
    t.assign(id::BLOB_DATA_READER, &t.account(LAKE, ""), &t.principal_id).await;
    assert_eq!(t.get(&token, &t.lake_url("lake/out/day/a.csv")).await.text, "hello");
    let listing = t.get(&token, &t.lake_url("lake?resource=filesystem&recursive=true")).await.json();
    let names: Vec<&str> = listing["paths"].as_array().unwrap().iter().map(|path| path["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["out", "out/day", "out/day/a.csv"]);
    assert_eq!(listing["paths"][0]["isDirectory"], "true");
    // The same file, as Blob shows it.
    let blob = format!("{}/{LAKE}/lake/out/day/a.csv", t.sim.blob());
    assert_eq!(t.get(&token, &blob).await.text, "hello");
}

#[tokio::test]
async fn e_67_new_files_begin_with_the_defaults_of_their_folder() {
    let t = with_a_file().await;
    let who = &t.principal_id;
    set_acl(&t, "lake/", &format!("user:{who}:--x")).await;
    set_acl(&t, "lake/out", &format!("user:{who}:r-x,default:user:{who}:r-x")).await;
    write(&t, "lake/out/new.csv", "new").await;
    let token = t.token().await;
    assert_eq!(t.get(&token, &t.lake_url("lake/out/new.csv")).await.text, "new");
    let head = t.storage(t.owner(), Method::HEAD, &t.lake_url("lake/out/new.csv?action=getAccessControl"), &[], "").await;
    assert!(head.header("x-ms-acl").contains(&format!("user:{who}:r-x")), "{}", head.header("x-ms-acl"));
    // What was there before keeps its own list, until it is changed below.
    assert_eq!(t.get(&token, &t.lake_url("lake/out/day/a.csv")).await.status, 403);
    let url = t.lake_url("lake/out?action=setAccessControlRecursive&mode=modify");
    let changed = t.storage(t.owner(), Method::PATCH, &url, &[("x-ms-acl", &format!("user:{who}:r-x"))], "").await.json();
    assert_eq!((changed["directoriesSuccessful"].as_i64(), changed["filesSuccessful"].as_i64()), (Some(2), Some(2)));
    assert_eq!(t.get(&token, &t.lake_url("lake/out/day/a.csv")).await.text, "hello");
}

#[tokio::test]
async fn paths_move_with_what_is_below_them_and_go_when_asked_twice() {
    let t = with_a_file().await;
    let moved = [("x-ms-rename-source", "/lake/out")];
    assert_eq!(t.storage(t.owner(), Method::PUT, &t.lake_url("lake/archive"), &moved, "").await.status, 201);
    assert_eq!(t.get(t.owner(), &t.lake_url("lake/archive/day/a.csv")).await.text, "hello");
    assert_eq!(t.get(t.owner(), &t.lake_url("lake/out/day/a.csv")).await.status, 404);
    let delete =
        async |query: &str| t.storage(t.owner(), Method::DELETE, &t.lake_url(&format!("lake/archive{query}")), &[], "").await;
    let refused = delete("?recursive=false").await;
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (409, Some("DirectoryNotEmpty")));
    assert_eq!(delete("?recursive=true").await.status, 200);
    let missing = delete("?recursive=true").await;
    assert_eq!((missing.status, missing.json()["error"]["code"].as_str()), (404, Some("PathNotFound")));
}

#[tokio::test]
async fn only_the_owner_and_data_owners_change_lists() {
    let t = with_a_file().await;
    let token = t.token().await;
    t.assign(id::BLOB_DATA_CONTRIBUTOR, &t.account(LAKE, ""), &t.principal_id).await;
    let url = t.lake_url("lake/out?action=setAccessControl");
    let reply = t.storage(&token, Method::PATCH, &url, &[("x-ms-acl", "other::rwx")], "").await;
    assert_eq!(reply.code(), (403, "AuthorizationPermissionMismatch"));
    assert_eq!(t.storage(&token, Method::PUT, &t.lake_url("lake/own?resource=directory"), &[], "").await.status, 201);
    set_acl(&t, "lake/", &format!("user:{}:--x", t.principal_id)).await;
    let own = t.lake_url("lake/own?action=setAccessControl");
    assert_eq!(t.storage(&token, Method::PATCH, &own, &[("x-ms-acl", "other::r-x")], "").await.status, 200);
    let bad = t.storage(&token, Method::PATCH, &own, &[("x-ms-acl", "nobody")], "").await;
    assert_eq!((bad.status, bad.json()["error"]["code"].as_str()), (400, Some("InvalidInput")));
}
