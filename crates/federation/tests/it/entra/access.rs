//! What a token opens: E-14, E-63 to E-67, and bearer tokens that are not taken.

use serde_json::{Value, json};
use skybru_federation::azure::acl::{Acl, Permissions};
use skybru_federation::azure::roles::{built_in, id};
use skybru_federation::azure::{
    BlobOperation, Caller, Expected, FileOperation, FilesCall, Grants, PathAcls, RoleAssignment, TokenFault, authorize_blob,
    authorize_file, check_blob_version, contains, verify,
};
use skybru_federation::entra::Resource;

use super::case::{CLIENT, Case, PRINCIPAL, TENANT};
use crate::case::{NOW, other_jwk, sign};

const ACCOUNT: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/fjordbuss";
const CONTAINER: &str =
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/fjordbuss/blobServices/default/containers/c";

fn assignment(role: &str, scope: &str) -> RoleAssignment {
    RoleAssignment {
        name: "00000000-0000-0000-0000-000000000001".to_owned(),
        scope: scope.to_owned(),
        role: role.to_owned(),
        principal_id: PRINCIPAL.to_owned(),
        principal_type: None,
        created: 0,
    }
}

fn caller() -> Caller {
    Caller { principal_id: PRINCIPAL.to_owned(), client_id: CLIENT.to_owned() }
}

/// Whether somebody with these roles may do this to the container.
fn may(assignments: &[RoleAssignment], operation: BlobOperation) -> bool {
    let roles = built_in();
    let result = authorize_blob(Grants { assignments, roles: &roles }, &caller(), operation, CONTAINER, None);
    if let Err(error) = &result {
        assert_eq!((error.code, error.status, error.rule), ("AuthorizationPermissionMismatch", 403, "E-66"));
        assert_eq!(error.message, "This request is not authorized to perform this operation using this permission.");
    }
    result.is_ok()
}

#[test]
fn e_60_scopes_are_compared_without_case() {
    assert!(contains("/subscriptions/s/resourcegroups/RG", CONTAINER));
    assert!(contains("/", CONTAINER) && contains(ACCOUNT, ACCOUNT));
    assert!(!contains("/subscriptions/s/resourceGroups/r", CONTAINER), "a name is not the beginning of another");
    assert!(!contains(CONTAINER, ACCOUNT));
}

#[test]
fn e_63_an_assignment_names_a_principal_that_is_there() {
    let roles = built_in();
    let good = assignment(id::BLOB_DATA_READER, ACCOUNT);
    assert!(good.check(&[], &roles, TENANT, true).is_ok());
    let error = good.check(&[], &roles, TENANT, false).unwrap_err();
    assert_eq!((error.code, error.status), ("PrincipalNotFound", 400));
    let start = format!("Principal {} does not exist in the directory {TENANT}.", PRINCIPAL.replace('-', ""));
    assert!(error.message.starts_with(&start), "{}", error.message);

    let again = RoleAssignment { name: "00000000-0000-0000-0000-000000000002".to_owned(), ..good.clone() };
    let error = again.check(std::slice::from_ref(&good), &roles, TENANT, true).unwrap_err();
    assert_eq!((error.code, error.status), ("RoleAssignmentExists", 409));
    assert!(good.check(std::slice::from_ref(&good), &roles, TENANT, true).is_ok(), "the same one may be put again");
    let nothing = RoleAssignment { role: "nothing".to_owned(), ..good };
    assert_eq!(nothing.check(&[], &roles, TENANT, true).unwrap_err().code, "RoleDefinitionDoesNotExist");
}

#[test]
fn e_63_the_control_plane_says_who_may_not_do_what_where() {
    let roles = built_in();
    let reader = [assignment(id::READER, ACCOUNT)];
    let grants = Grants { assignments: &reader, roles: &roles };
    assert!(grants.authorize(PRINCIPAL, "Microsoft.Storage/storageAccounts/read", ACCOUNT).is_ok());
    let error = grants.authorize(PRINCIPAL, "Microsoft.Storage/storageAccounts/write", ACCOUNT).unwrap_err();
    assert_eq!((error.code, error.status), ("AuthorizationFailed", 403));
    assert!(error.message.contains("to perform action 'Microsoft.Storage/storageAccounts/write' over scope"));
    let contributor = [assignment(id::CONTRIBUTOR, "/subscriptions/s")];
    let grants = Grants { assignments: &contributor, roles: &roles };
    assert!(grants.may(PRINCIPAL, "Microsoft.Storage/storageAccounts/write", ACCOUNT));
    assert!(!grants.may(PRINCIPAL, "Microsoft.Authorization/roleAssignments/write", ACCOUNT));
}

#[test]
fn e_64_owner_contributor_and_reader_open_no_data() {
    for role in [id::OWNER, id::CONTRIBUTOR, id::READER, id::STORAGE_ACCOUNT_CONTRIBUTOR] {
        let held = [assignment(role, "/subscriptions/s")];
        for operation in
            [BlobOperation::ReadBlob, BlobOperation::ListBlobs, BlobOperation::WriteBlob, BlobOperation::WriteContainer]
        {
            assert!(!may(&held, operation), "{role} {operation:?}");
        }
    }
    let reader = [assignment(id::BLOB_DATA_READER, CONTAINER)];
    assert!(may(&reader, BlobOperation::ReadBlob) && may(&reader, BlobOperation::ListBlobs));
    assert!(may(&reader, BlobOperation::ReadContainer));
    assert!(!may(&reader, BlobOperation::WriteBlob) && !may(&reader, BlobOperation::DeleteBlob));
    let contributor = [assignment(id::BLOB_DATA_CONTRIBUTOR, ACCOUNT)];
    assert!(may(&contributor, BlobOperation::CreateBlob) && may(&contributor, BlobOperation::DeleteContainer));
    assert!(!may(&contributor, BlobOperation::ChangeAcl));
    assert!(may(&[assignment(id::BLOB_DATA_OWNER, ACCOUNT)], BlobOperation::ChangeAcl));
}

#[test]
fn e_66_a_role_elsewhere_or_for_somebody_else_is_none() {
    let elsewhere = CONTAINER.replace("containers/c", "containers/private");
    assert!(!may(&[assignment(id::BLOB_DATA_READER, &elsewhere)], BlobOperation::ReadBlob));
    let of_client_id = RoleAssignment { principal_id: CLIENT.to_owned(), ..assignment(id::BLOB_DATA_READER, CONTAINER) };
    assert!(!may(&[of_client_id], BlobOperation::ReadBlob));
    assert!(!may(&[], BlobOperation::ReadBlob));
}

#[test]
fn e_65_files_need_the_version_and_the_intent() {
    let roles = built_in();
    let share = format!("{ACCOUNT}/fileServices/default/fileshares/timetables");
    let held = [assignment(id::FILE_DATA_PRIVILEGED_READER, &share)];
    let ask = |operation, call, held: &[RoleAssignment]| {
        let result = authorize_file(Grants { assignments: held, roles: &roles }, &caller(), operation, &share, call);
        result.map_err(|error| (error.code, error.status))
    };
    let good = FilesCall { version: Some("2022-11-02"), intent: Some("backup") };
    assert_eq!(ask(FileOperation::Read, good, &held), Ok(()));
    assert_eq!(ask(FileOperation::Read, FilesCall { intent: None, ..good }, &held), Err(("MissingRequiredHeader", 400)));
    let older = FilesCall { version: Some("2021-12-02"), ..good };
    assert_eq!(ask(FileOperation::Read, older, &held), Err(("InvalidAuthenticationInfo", 401)));
    assert_eq!(ask(FileOperation::Write, good, &held), Err(("AuthorizationPermissionMismatch", 403)));
    let smb = [assignment(id::FILE_DATA_SMB_SHARE_READER, &share)];
    assert_eq!(ask(FileOperation::Read, good, &smb), Err(("AuthorizationPermissionMismatch", 403)), "it has no backup semantics");
    let writer = [assignment(id::FILE_DATA_PRIVILEGED_CONTRIBUTOR, &share)];
    assert_eq!(ask(FileOperation::Delete, good, &writer), Ok(()));
    assert!(check_blob_version(Some("2017-11-09")).is_ok() && check_blob_version(Some("2017-07-29")).is_err());
    assert!(check_blob_version(None).is_err());
}

const OWNER: &str = "00000000-0000-0000-0000-0000000000ff";

fn folder(acl: &str) -> Acl {
    Acl::of_owner(OWNER, true).set(acl, true).unwrap()
}

fn file(acl: &str) -> Acl {
    Acl::of_owner(OWNER, false).set(acl, false).unwrap()
}

fn by_list(above: &[&Acl], own: Option<&Acl>, operation: BlobOperation) -> bool {
    let grants = Grants { assignments: &[], roles: &[] };
    authorize_blob(grants, &caller(), operation, CONTAINER, Some(PathAcls { above, own })).is_ok()
}

#[test]
fn e_67_every_folder_above_must_let_the_caller_through() {
    let through = folder(&format!("user:{PRINCIPAL}:--x"));
    let readable = file(&format!("user:{PRINCIPAL}:r--"));
    let closed = Acl::of_owner(OWNER, true);
    assert!(by_list(&[&through, &through], Some(&readable), BlobOperation::ReadBlob));
    assert!(!by_list(&[&closed, &through], Some(&readable), BlobOperation::ReadBlob));
    assert!(!by_list(&[&through, &closed], Some(&readable), BlobOperation::ReadBlob));
    assert!(!by_list(&[&through, &through], Some(&file("other::---")), BlobOperation::ReadBlob));
    let place = PathAcls { above: &[&through, &closed], own: Some(&readable) };
    assert_eq!(place.closed_folder(PRINCIPAL), Some(1));
}

#[test]
fn e_67_listing_writing_and_making_ask_for_different_letters() {
    let through = folder(&format!("user:{PRINCIPAL}:--x"));
    let lists = folder(&format!("user:{PRINCIPAL}:r-x"));
    let makes = folder(&format!("user:{PRINCIPAL}:-wx"));
    let writable = file(&format!("user:{PRINCIPAL}:-w-"));
    assert!(by_list(&[&through], Some(&lists), BlobOperation::ListBlobs));
    assert!(!by_list(&[&through], Some(&through), BlobOperation::ListBlobs));
    assert!(by_list(&[&through, &makes], None, BlobOperation::CreateBlob));
    assert!(!by_list(&[&through, &through], None, BlobOperation::CreateBlob));
    assert!(by_list(&[&through], Some(&writable), BlobOperation::WriteBlob));
    assert!(!by_list(&[&through], Some(&writable), BlobOperation::ReadBlob));
    assert!(by_list(&[&makes], Some(&writable), BlobOperation::DeleteBlob));
    assert!(!by_list(&[&makes], Some(&writable), BlobOperation::ChangeAcl), "only the owner changes lists");
}

#[test]
fn e_67_the_mask_limits_those_who_are_named() {
    let acl = file(&format!("user::rw-,user:{PRINCIPAL}:rw-,group::---,mask::-w-,other::r--"));
    assert!(!acl.allows(PRINCIPAL, Permissions::READ) && acl.allows(PRINCIPAL, Permissions::WRITE));
    assert!(acl.allows(OWNER, Permissions::READ), "the owner is not masked");
    let open = file(&format!("user:{PRINCIPAL}:rw-"));
    assert!(open.to_string().contains("mask::rw-"), "a mask is made that lets everything named through: {open}");
}

#[test]
fn e_67_children_begin_with_the_defaults_of_their_folder() {
    let parent = folder(&format!("user:{PRINCIPAL}:r-x,default:user:{PRINCIPAL}:r-x"));
    let child = parent.child(OWNER, true);
    assert!(child.allows(PRINCIPAL, Permissions::READ_EXECUTE) && child.default == parent.default);
    let file = parent.child(OWNER, false);
    assert!(file.allows(PRINCIPAL, Permissions::READ) && file.default.is_empty());
    let bare = Acl::of_owner(OWNER, true).child(OWNER, false);
    assert!(!bare.allows(PRINCIPAL, Permissions::READ), "without defaults nothing is inherited");
    assert_eq!(bare.to_string(), "user::rw-,group::r--,other::---");
}

#[test]
fn e_67_lists_have_limits_and_must_make_sense() {
    let many = |count: usize| (0..count).map(|n| format!("user:{n}:r--")).collect::<Vec<_>>().join(",");
    let start = Acl::of_owner(OWNER, true);
    assert!(start.set(&many(28), true).is_ok(), "28 named, with owner, group, mask and others 32");
    assert!(start.set(&many(29), true).is_err());
    for wrong in ["user:x:rwz", "user:x", "nobody::r--", "mask:x:r--", "user:x:r--,user:x:-w-", "user:x:r--:y"] {
        assert_eq!(start.set(wrong, true).unwrap_err().code, "InvalidInput", "{wrong}");
    }
    assert!(Acl::of_owner(OWNER, false).set("default:user:x:r--", false).is_err(), "a file has no defaults");
}

#[test]
fn e_67_permissions_are_nine_letters_or_octal() {
    let start = Acl::of_owner(OWNER, true);
    assert_eq!(start.set_permissions("rwxr-xr-x").unwrap().permissions_text(), "rwxr-xr-x");
    assert_eq!(start.set_permissions("0700").unwrap().permissions_text(), "rwx------");
    for wrong in ["rwx", "rwxrwxrwz", "9999", "", "ræxr-xr-x"] {
        assert!(start.set_permissions(wrong).is_err(), "{wrong}");
    }
    assert!(folder(&format!("user:{PRINCIPAL}:--x")).permissions_text().ends_with('+'));
}

fn bearer(change: impl FnOnce(&mut Value)) -> Result<Caller, TokenFault> {
    let case = Case::good();
    let mut claims = case.accepted().claims(&case.tenant, NOW);
    change(&mut claims);
    let text = sign(&json!({"alg": "RS256", "kid": "test-key-1", "typ": "JWT"}), &claims);
    verify(&text, &case.key_set(), Expected { tenant: TENANT, resource: Resource::Storage, account: Some("fjordbuss") }, NOW)
}

#[test]
fn e_14_a_bearer_token_is_proven_before_it_is_believed() {
    assert_eq!(bearer(|_| ()).unwrap(), caller());
    assert!(bearer(|claims| claims["aud"] = "https://fjordbuss.blob.core.windows.net".into()).is_ok());
    for audience in ["https://management.azure.com", "https://other.blob.core.windows.net", "api://AzureADTokenExchange"] {
        assert!(matches!(bearer(|claims| claims["aud"] = audience.into()), Err(TokenFault::Audience(_))), "{audience}");
    }
    assert!(matches!(bearer(|claims| claims["iss"] = "https://sky.example.no".into()), Err(TokenFault::Issuer(_))));
    assert!(matches!(bearer(|claims| claims["tid"] = "other".into()), Err(TokenFault::Issuer(_))));
    assert_eq!(bearer(|claims| claims["exp"] = NOW.into()), Err(TokenFault::Lifetime { expires: NOW }));
    assert_eq!(bearer(|claims| claims["oid"] = Value::Null), Err(TokenFault::Malformed));

    let case = Case::good();
    let expected = Expected { tenant: TENANT, resource: Resource::Storage, account: None };
    let token = case.token();
    assert!(verify(&token, &case.key_set(), expected, NOW).is_err(), "the issuer's own token is no access token");
    let other = skybru_protocol::jose::JwkSet { keys: vec![serde_json::from_value(other_jwk("test-key-1")).unwrap()] };
    assert_eq!(verify(&token, &other, expected, NOW), Err(TokenFault::Signature));
    assert_eq!(verify("x", &other, expected, NOW), Err(TokenFault::Malformed));
}

#[test]
fn refusals_of_a_bearer_token_read_as_the_services_write_them() {
    let fault = TokenFault::Audience("https://graph.microsoft.com".to_owned());
    let storage = fault.of_storage();
    assert_eq!((storage.code, storage.status), ("InvalidAuthenticationInfo", 401));
    assert_eq!(storage.detail, Some("Audience validation failed. Audience did not match."));
    let management = fault.of_management(NOW);
    assert_eq!((management.code, management.status), ("InvalidAuthenticationTokenAudience", 401));
    assert!(management.message.contains("wrong audience or resource 'https://graph.microsoft.com'"));
}
