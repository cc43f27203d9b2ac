//! `BigQuery`: access lists, tables, and the query that reads one.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Google, POOL, TestIssuer, token};

async fn with_table(issuer: &TestIssuer) -> Google {
    let google = Google::shared(issuer).await;
    let datasets = "bigquery/v2/projects/skybru-lab/datasets";
    google.owner(Method::POST, datasets, &json!({"datasetReference": {"datasetId": "timetables"}})).await.ok();
    let schema = json!({"fields": [{"name": "stop", "type": "STRING"}, {"name": "minute", "type": "INTEGER"}]});
    let table = json!({"tableReference": {"tableId": "lines"}, "schema": schema});
    google.owner(Method::POST, &format!("{datasets}/timetables/tables"), &table).await.ok();
    let rows: Vec<Value> = (0..3).map(|n| json!({"json": {"stop": format!("s{n}"), "minute": n}})).collect();
    google.owner(Method::POST, &format!("{datasets}/timetables/tables/lines/insertAll"), &json!({"rows": rows})).await.ok();
    google
}

/// G-69.
#[tokio::test]
async fn a_member_in_the_access_list_reads_the_table() {
    let issuer = TestIssuer::tls().await;
    let google = with_table(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let data = "bigquery/v2/projects/skybru-lab/datasets/timetables/tables/lines/data?maxResults=2";
    let refused = google.get(data, &federated).await;
    let text = "Access Denied: Table skybru-lab:timetables.lines: Permission bigquery.tables.getData denied on table skybru-lab:timetables.lines (or it may not exist).";
    assert_eq!(refused.message(), (403, text));

    let dataset = "bigquery/v2/projects/skybru-lab/datasets/timetables";
    let mut shown = google.owner(Method::GET, dataset, &json!({})).await.ok();
    let member = format!("principalSet://iam.googleapis.com/{POOL}/attribute.clientaccess/client::0192:917422575::entur:demo");
    shown["access"].as_array_mut().unwrap().push(json!({"role": "READER", "iamMember": member}));
    google.owner(Method::PATCH, dataset, &json!({"access": shown["access"]})).await.ok();
    let page = google.get(data, &federated).await.ok();
    assert_eq!((page["totalRows"].as_str(), page["pageToken"].as_str()), (Some("3"), Some("2")));
    assert_eq!(page["rows"][1], json!({"f": [{"v": "s1"}, {"v": "1"}]}));

    // Reading rows is one thing, running jobs another.
    let query = json!({"query": "SELECT stop FROM timetables.lines LIMIT 2", "useLegacySql": false});
    let queries = "bigquery/v2/projects/skybru-lab/queries";
    let refused = google.call(Method::POST, queries, Some(&query), Some(&federated)).await;
    let text = "Access Denied: Project skybru-lab: User does not have bigquery.jobs.create permission in project skybru-lab.";
    assert_eq!(refused.message(), (403, text));
    let policy = google.owner(Method::POST, "v1/projects/skybru-lab:getIamPolicy", &json!({})).await.ok();
    let mut bindings = policy["bindings"].clone();
    bindings.as_array_mut().unwrap().push(json!({"role": "roles/bigquery.jobUser", "members": [member]}));
    let set = json!({"policy": {"bindings": bindings, "etag": policy["etag"]}});
    google.owner(Method::POST, "v1/projects/skybru-lab:setIamPolicy", &set).await.ok();
    let answer = google.call(Method::POST, queries, Some(&query), Some(&federated)).await.ok();
    assert_eq!(answer["rows"], json!([{"f": [{"v": "s0"}]}, {"f": [{"v": "s1"}]}]));
    assert_eq!(answer["totalRows"], "2");
}

#[tokio::test]
async fn an_organisation_that_is_not_listed_sees_no_dataset() {
    let issuer = TestIssuer::tls().await;
    let google = with_table(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let listed = google.get("bigquery/v2/projects/skybru-lab/datasets", &federated).await.ok();
    assert_eq!(listed["datasets"], json!([]));
    let known = google.get("bigquery/v2/projects/skybru-lab/datasets/timetables", &federated).await;
    let unknown = google.get("bigquery/v2/projects/skybru-lab/datasets/absent", &federated).await;
    assert_eq!((known.status, unknown.status), (403, 403), "one that is closed and one that is not there look the same");
}

/// As google-cloud-bigquery, pandas-gbq and `bq` ask.
#[tokio::test]
async fn queries_choose_rows_count_and_sort() {
    let issuer = TestIssuer::tls().await;
    let google = with_table(&issuer).await;
    let queries = "bigquery/v2/projects/skybru-lab/queries";
    let ask = async |body: Value| google.owner(Method::POST, queries, &body).await.ok();
    let count = ask(json!({"query": "SELECT COUNT(*) AS n FROM timetables.lines WHERE minute >= 1"})).await;
    assert_eq!((&count["rows"], &count["schema"]["fields"][0]["name"]), (&json!([{"f": [{"v": "2"}]}]), &json!("n")));
    let body = json!({
        "query": "SELECT stop FROM `skybru-lab.timetables.lines` WHERE stop != @not ORDER BY minute DESC LIMIT 1",
        "queryParameters": [{"name": "not", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "s2"}}],
    });
    let answer = ask(body.clone()).await;
    assert_eq!(answer["rows"], json!([{"f": [{"v": "s1"}]}]));
    // The job's id says what is asked: its pages can be read, by whoever may read the table.
    let job = format!("{queries}/{}", answer["jobReference"]["jobId"].as_str().unwrap());
    assert_eq!(google.owner(Method::GET, &job, &json!({})).await.ok()["rows"], answer["rows"]);
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    assert_eq!(google.get(&job, &federated).await.status, 403);

    let refused =
        google.owner(Method::POST, queries, &json!({"query": "SELECT stop, COUNT(*) FROM timetables.lines GROUP BY stop"})).await;
    let (status, message) = refused.message();
    assert!(
        status == 400 && message.starts_with("Unsupported: GROUP BY, HAVING, QUALIFY and WINDOW. The simulator reads one table"),
        "{message}"
    );
    assert_eq!(refused.body["error"]["errors"][0]["reason"], "invalidQuery");
}

#[tokio::test]
async fn times_are_seconds_or_whole_microseconds() {
    let issuer = TestIssuer::tls().await;
    let google = with_table(&issuer).await;
    let tables = "bigquery/v2/projects/skybru-lab/datasets/timetables/tables";
    let table = json!({"tableReference": {"tableId": "stops"}, "schema": {"fields": [{"name": "at", "type": "TIMESTAMP"}]}});
    google.owner(Method::POST, tables, &table).await.ok();
    let rows = json!({"rows": [{"json": {"at": "2026-01-01 12:00:00.5 UTC"}}]});
    google.owner(Method::POST, &format!("{tables}/stops/insertAll"), &rows).await.ok();
    let data = format!("{tables}/stops/data");
    let shown = async |query: &str| {
        google.owner(Method::GET, &format!("{data}{query}"), &json!({})).await.ok()["rows"][0]["f"][0]["v"].clone()
    };
    assert_eq!(shown("").await, "1767268800.500000");
    assert_eq!(shown("?formatOptions.useInt64Timestamp=true").await, "1767268800500000");
}
