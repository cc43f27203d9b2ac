//! Which permissions a role holds, for the roles and permissions that sharing needs (G-53).
//!
//! Deliberately missing: every other role of Google's some thousand. A role that is not here holds nothing here.

/// Permissions by role. A permission that ends in `*` stands for all that begin like it.
const ROLES: [(&str, &[&str]); 27] = [
    (
        "roles/storage.objectViewer",
        &["storage.objects.get", "storage.objects.list", "storage.folders.get", "storage.folders.list"],
    ),
    ("roles/storage.objectCreator", &["storage.objects.create", "storage.folders.create", "storage.multipartUploads.*"]),
    (
        "roles/storage.objectUser",
        &[
            "storage.objects.create",
            "storage.objects.delete",
            "storage.objects.get",
            "storage.objects.list",
            "storage.objects.update",
            "storage.folders.*",
            "storage.multipartUploads.*",
        ],
    ),
    ("roles/storage.objectAdmin", &["storage.objects.*", "storage.folders.*", "storage.multipartUploads.*"]),
    ("roles/storage.bucketViewer", &["storage.buckets.get", "storage.buckets.list"]),
    ("roles/storage.admin", &["storage.*"]),
    ("roles/storage.legacyObjectReader", &["storage.objects.get"]),
    ("roles/storage.legacyObjectOwner", &["storage.objects.get", "storage.objects.update", "storage.objects.getIamPolicy"]),
    ("roles/storage.legacyBucketReader", &["storage.buckets.get", "storage.objects.list"]),
    (
        "roles/storage.legacyBucketWriter",
        &[
            "storage.buckets.get",
            "storage.objects.create",
            "storage.objects.delete",
            "storage.objects.list",
            "storage.multipartUploads.*",
        ],
    ),
    (
        "roles/storage.legacyBucketOwner",
        &[
            "storage.buckets.get",
            "storage.buckets.getIamPolicy",
            "storage.buckets.setIamPolicy",
            "storage.buckets.update",
            "storage.objects.create",
            "storage.objects.delete",
            "storage.objects.list",
            "storage.multipartUploads.*",
        ],
    ),
    (
        "roles/iam.workloadIdentityUser",
        &["iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken", "iam.serviceAccounts.get"],
    ),
    (
        "roles/iam.serviceAccountTokenCreator",
        &[
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.getOpenIdToken",
            "iam.serviceAccounts.signBlob",
            "iam.serviceAccounts.signJwt",
            "iam.serviceAccounts.implicitDelegation",
            "iam.serviceAccounts.get",
        ],
    ),
    ("roles/iam.serviceAccountUser", &["iam.serviceAccounts.actAs", "iam.serviceAccounts.get", "iam.serviceAccounts.list"]),
    (
        "roles/iam.serviceAccountAdmin",
        &[
            "iam.serviceAccounts.create",
            "iam.serviceAccounts.delete",
            "iam.serviceAccounts.disable",
            "iam.serviceAccounts.enable",
            "iam.serviceAccounts.get",
            "iam.serviceAccounts.list",
            "iam.serviceAccounts.update",
            "iam.serviceAccounts.getIamPolicy",
            "iam.serviceAccounts.setIamPolicy",
        ],
    ),
    ("roles/iam.workloadIdentityPoolAdmin", &["iam.workloadIdentityPools.*", "iam.workloadIdentityPoolProviders.*"]),
    (
        "roles/iam.workloadIdentityPoolViewer",
        &[
            "iam.workloadIdentityPools.get",
            "iam.workloadIdentityPools.list",
            "iam.workloadIdentityPoolProviders.get",
            "iam.workloadIdentityPoolProviders.list",
        ],
    ),
    ("roles/iam.workforcePoolAdmin", &["iam.workforcePools.*", "iam.workforcePoolProviders.*"]),
    (
        "roles/bigquery.dataViewer",
        &["bigquery.datasets.get", "bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.list"],
    ),
    ("roles/bigquery.dataEditor", &["bigquery.datasets.get", "bigquery.datasets.create", "bigquery.tables.*"]),
    ("roles/bigquery.dataOwner", &["bigquery.datasets.*", "bigquery.tables.*"]),
    ("roles/bigquery.jobUser", &["bigquery.jobs.create"]),
    (
        "roles/bigquery.user",
        &["bigquery.jobs.create", "bigquery.datasets.get", "bigquery.datasets.create", "bigquery.tables.list"],
    ),
    ("roles/bigquery.admin", &["bigquery.*"]),
    ("roles/serviceusage.serviceUsageConsumer", &["serviceusage.services.use", "serviceusage.services.get"]),
    ("roles/browser", &["resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy"]),
    (
        "roles/viewer",
        &[
            "resourcemanager.projects.get",
            "storage.buckets.list",
            "bigquery.datasets.get",
            "bigquery.jobs.create",
            "bigquery.tables.get",
            "bigquery.tables.getData",
            "bigquery.tables.list",
            "iam.serviceAccounts.get",
            "iam.serviceAccounts.list",
        ],
    ),
];

/// Whether the role holds the permission. `roles/owner` and `roles/editor` are taken for everything, editors without policies.
pub fn role_holds(role: &str, permission: &str) -> bool {
    match role {
        "roles/owner" => true,
        "roles/editor" => !permission.ends_with("IamPolicy"),
        _ => ROLES.iter().find(|(name, _)| *name == role).is_some_and(|(_, permissions)| {
            permissions
                .iter()
                .any(|held| held.strip_suffix('*').map_or(*held == permission, |start| permission.starts_with(start)))
        }),
    }
}

/// The narrowest role known here that holds the permission, for the command that mends its absence.
pub fn role_for(permission: &str) -> &'static str {
    match permission {
        "iam.serviceAccounts.getAccessToken" => "roles/iam.workloadIdentityUser",
        "storage.objects.get" | "storage.objects.list" => "roles/storage.objectViewer",
        "storage.objects.create" => "roles/storage.objectCreator",
        _ => ROLES.iter().map(|(name, _)| *name).find(|role| role_holds(role, permission)).unwrap_or("roles/owner"),
    }
}

/// Whether this is one of the basic roles, which nobody should give to another organisation.
pub fn is_basic_role(role: &str) -> bool {
    matches!(role, "roles/owner" | "roles/editor" | "roles/viewer")
}
