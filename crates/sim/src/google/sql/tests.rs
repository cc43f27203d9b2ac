use serde_json::json;

use super::*;

fn lines() -> Table {
    let field = |name: &str, kind: &str| Field { name: name.to_owned(), kind: kind.to_owned(), mode: "NULLABLE".to_owned() };
    let fields = vec![field("stop", "STRING"), field("minute", "INTEGER"), field("ratio", "FLOAT"), field("at", "TIMESTAMP")];
    let rows = [
        json!(["Bergen", 10, 0.5, "2026-01-01 12:00:00 UTC"]),
        json!(["Voss", "9", 1.5, "2026-01-02T12:00:00Z"]),
        json!(["Finse", null, null, null]),
        json!(["Oslo", 200, 2.0, "2026-01-03 00:00:00"]),
    ];
    let rows = rows.into_iter().map(|row| row.as_array().unwrap().clone()).collect();
    Table { created: 0, fields, rows }
}

fn ask(sql: &str) -> Result<Value, ApiError> {
    let parameters = Parameters::from([("least".to_owned(), ("INT64".to_owned(), "10".to_owned()))]);
    with_room(|| Ok(Query::parse(sql)?.run(&lines(), &parameters)?.rows.into()))
}

#[track_caller]
fn gives(sql: &str, rows: &Value) {
    assert_eq!(ask(sql).unwrap_or_else(|error| panic!("{sql}: {}", error.message)), *rows, "{sql}");
}

#[test]
fn columns_conditions_order_and_bounds() {
    gives("SELECT stop FROM t.lines WHERE minute > 9", &json!([["Bergen"], ["Oslo"]]));
    gives("select STOP from t.lines where Minute >= @least order by minute desc", &json!([["Oslo"], ["Bergen"]]));
    gives("SELECT stop FROM t.lines WHERE minute BETWEEN 9 AND 10 ORDER BY 1", &json!([["Bergen"], ["Voss"]]));
    gives("SELECT stop FROM t.lines WHERE stop LIKE '%s%' AND NOT stop IN ('Oslo')", &json!([["Voss"], ["Finse"]]));
    gives("SELECT stop AS name FROM t.lines ORDER BY name LIMIT 2 OFFSET 1;", &json!([["Finse"], ["Oslo"]]));
    gives("SELECT stop FROM t.lines WHERE at > TIMESTAMP '2026-01-02' AND at < '2026-01-03'", &json!([["Voss"]]));
    gives("SELECT stop FROM t.lines WHERE ratio = 2", &json!([["Oslo"]]));
    gives("SELECT DISTINCT minute FROM t.lines WHERE minute < 10 OR minute IS NULL ORDER BY minute", &json!([[null], [9]]));
    gives("SELECT 1 AS one, 'a', TRUE", &json!([[1, "a", true]]).clone());
}

/// As `BigQuery` has it: a comparison with NULL is NULL, and what is not true is left out; NULL stands first.
#[test]
fn null_is_neither_true_nor_false_and_sorts_first() {
    gives("SELECT stop FROM t.lines WHERE NOT (minute = 10)", &json!([["Voss"], ["Oslo"]]));
    gives("SELECT stop FROM t.lines WHERE minute = NULL", &json!([]));
    gives("SELECT stop FROM t.lines WHERE minute IN (9, NULL)", &json!([["Voss"]]));
    gives("SELECT stop FROM t.lines ORDER BY minute", &json!([["Finse"], ["Voss"], ["Bergen"], ["Oslo"]]));
    gives("SELECT stop FROM t.lines ORDER BY minute DESC", &json!([["Oslo"], ["Bergen"], ["Voss"], ["Finse"]]));
    gives("SELECT stop FROM t.lines ORDER BY minute NULLS LAST LIMIT 1", &json!([["Voss"]]));
}

#[test]
fn aggregates_of_all_that_is_left() {
    gives("SELECT COUNT(*) FROM t.lines", &json!([[4]]));
    gives("SELECT count(minute), SUM(minute), MIN(minute), MAX(stop) FROM t.lines", &json!([[3, 219, 9, "Voss"]]));
    gives("SELECT AVG(ratio) FROM t.lines WHERE ratio > 1", &json!([[1.75]]));
    gives("SELECT SUM(minute), COUNT(*) FROM t.lines WHERE stop = 'x'", &json!([[null, 0]]));
}

#[test]
fn columns_have_names_and_types() {
    let columns = |sql: &str| {
        let answer = Query::parse(sql).unwrap().run(&lines(), &Parameters::new()).unwrap();
        answer.fields.into_iter().map(|field| format!("{} {}", field.name, field.kind)).collect::<Vec<_>>()
    };
    let all = ["stop STRING", "minute INTEGER", "ratio FLOAT", "at TIMESTAMP"];
    assert_eq!(columns("SELECT * FROM t.lines"), all);
    assert_eq!(
        columns("SELECT COUNT(*), MAX(at) AS last, AVG(minute) FROM t.lines"),
        ["f0_ INTEGER", "last TIMESTAMP", "f1_ FLOAT"]
    );
}

#[test]
fn a_table_is_named_with_and_without_backquotes() {
    for sql in [
        "SELECT * FROM `skybru-lab.timetables.lines`",
        "SELECT * FROM skybru-lab.timetables.lines",
        "SELECT * FROM `skybru-lab`.timetables.`lines`",
    ] {
        assert_eq!(Query::parse(sql).unwrap().table.unwrap(), ["skybru-lab", "timetables", "lines"], "{sql}");
    }
}

#[test]
fn what_is_not_understood_says_so() {
    for (sql, start) in [
        ("", "Unsupported: anything but one statement. The simulator reads one table"),
        ("SELEC * FROM t.lines", "Syntax error: Expected: an SQL statement"),
        ("SELECT * FROM t.lines WHERE", "Syntax error: "),
        ("DROP TABLE t.lines", "Unsupported: a statement that is no SELECT."),
        ("SELECT * FROM t.lines, t.stops", "Unsupported: more than one table."),
        ("SELECT * FROM t.lines JOIN t.stops USING (stop)", "Unsupported: anything but"),
        ("SELECT stop, COUNT(*) FROM t.lines GROUP BY stop", "Unsupported: GROUP BY"),
        ("SELECT stop, COUNT(*) FROM t.lines", "Unsupported: columns beside aggregates"),
        ("SELECT UPPER(stop) FROM t.lines", "Unsupported: UPPER(stop)."),
        ("SELECT minute + 1 FROM t.lines", "Unsupported: the operator +."),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "Unsupported: WITH"),
        ("SELECT nothing FROM t.lines", "Unrecognized name: nothing at [1:8]"),
        ("SELECT stop FROM t.lines WHERE stop > 1", "No matching signature for operator > for argument types: STRING, INTEGER"),
        ("SELECT stop FROM t.lines WHERE minute", "WHERE clause should return type BOOL"),
        ("SELECT stop FROM t.lines WHERE minute = @most", "Query parameter 'most' not found"),
        ("SELECT stop FROM t.lines LIMIT x", "LIMIT and OFFSET are numbers"),
    ] {
        let error = ask(sql).unwrap_err();
        assert!(
            error.message.starts_with(start) || start.contains("anything but") && error.message.starts_with("Unsupported"),
            "{sql}: {}",
            error.message
        );
        assert_eq!((error.code, error.status), (400, "INVALID_QUERY"), "{sql}");
    }
}

/// What is deep cannot make the simulator fall over: long texts are not parsed, and short ones are not deep enough.
#[test]
fn a_query_of_many_levels_is_an_error_and_no_fall() {
    for sql in [
        format!("SELECT {}1", "1+".repeat(2000)),
        format!("SELECT {}1{}", "(".repeat(1500), ")".repeat(1500)),
        format!("SELECT * FROM t.lines WHERE {}TRUE", "NOT ".repeat(900)),
        format!("SELECT {}1", "1+".repeat(100_000)),
    ] {
        assert!(ask(&sql).is_err(), "{}", sql.len());
    }
    // Not too long to be read: what stops these is their depth, or nothing need stop them. A thread of tests has as little stack as a worker.
    for (sql, is_understood) in [
        (format!("SELECT {}TRUE", "NOT ".repeat(190)), false),
        (format!("SELECT {}1{}", "(".repeat(190), ")".repeat(190)), false),
        (format!("SELECT {}1", "- ".repeat(190)), false),
        (format!("SELECT * FROM t.lines WHERE {}TRUE", "(TRUE AND ".repeat(95)), false),
        (format!("SELECT {}TRUE", "CASE WHEN ".repeat(95)), false),
        (format!("SELECT {}1", "[".repeat(190)), false),
        (format!("SELECT {}1", "(SELECT ".repeat(95)), false),
        (format!("SELECT a{}", ".a".repeat(190)), false),
        (format!("SELECT CAST(1 AS {}INT64", "ARRAY<".repeat(95)), false),
        (format!("SELECT stop FROM t.lines WHERE {}TRUE", "TRUE AND ".repeat(190)), true),
        (format!("SELECT stop FROM t.lines WHERE {}TRUE", "NOT ".repeat(10)), true),
    ] {
        assert_eq!(ask(&sql).is_ok(), is_understood, "{sql}");
    }
}
