//! The API's description. One table says which paths there are, what they take and what they answer; the shapes come from the types that
//! are read and written.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::error::Body as ErrorBody;
use super::{
    AccessView, AuditPage, ClientInput, ClientView, ConsentInput, ConsentView, DelegationSourceInput, DelegationSourceView,
    DelegationView, KeySetInput, KeySetView, OnBehalfOfInput, OnBehalfOfView, OrganisationInput, ScopeInput, ScopeView,
    SystemUserInput, SystemUserView,
};

/// What a call takes, or answers.
#[derive(Clone, Copy)]
enum Shape {
    /// No body.
    Nothing,
    /// One of these.
    One(&'static str),
    /// A list of these.
    Many(&'static str),
    /// One, or a list, by the parameter `scope`.
    OneOrMany(&'static str),
    /// Some object.
    Object,
}

use Shape::{Many, Nothing, Object, One, OneOrMany};

/// A call: method, path, what it is for, whether it needs a token, its query parameters, body, status and answer.
type Call = (HttpMethod, &'static str, &'static str, bool, &'static [&'static str], Shape, &'static str, Shape);

const CALLS: &[Call] = {
    use HttpMethod::{Delete, Get, Post, Put};
    &[
        (Get, "/clients", "List the own clients", true, &["inactive"], Nothing, "200", Many("ClientResponse")),
        (Post, "/clients", "Register a client", true, &[], One("ClientRequest"), "201", One("ClientResponse")),
        (Get, "/clients/{client_id}", "Show a client", true, &["inactive"], Nothing, "200", One("ClientResponse")),
        (
            Put,
            "/clients/{client_id}",
            "Replace a client's settings",
            true,
            &[],
            One("ClientRequest"),
            "200",
            One("ClientResponse"),
        ),
        (Delete, "/clients/{client_id}", "Deactivate a client", true, &[], Nothing, "200", One("ClientResponse")),
        (Post, "/clients/{client_id}/secret", "Replace a client's secret", true, &[], Nothing, "200", One("ClientResponse")),
        (Get, "/clients/{client_id}/jwks", "Show a client's keys", true, &[], Nothing, "200", One("KeySetResponse")),
        (
            Post,
            "/clients/{client_id}/jwks",
            "Replace a client's keys",
            true,
            &[],
            One("KeySetRequest"),
            "201",
            One("KeySetResponse"),
        ),
        (
            Put,
            "/clients/{client_id}/jwks",
            "Replace a client's keys",
            true,
            &[],
            One("KeySetRequest"),
            "200",
            One("KeySetResponse"),
        ),
        (Delete, "/clients/{client_id}/jwks", "Take all keys away", true, &[], Nothing, "200", Object),
        (
            Get,
            "/clients/{client_id}/onbehalfof",
            "List a client's entries",
            true,
            &["inactive"],
            Nothing,
            "200",
            Many("OnBehalfOfResponse"),
        ),
        (
            Post,
            "/clients/{client_id}/onbehalfof",
            "Make an entry",
            true,
            &[],
            One("OnBehalfOfRequest"),
            "201",
            One("OnBehalfOfResponse"),
        ),
        (
            Get,
            "/clients/{client_id}/onbehalfof/{onbehalfof}",
            "Show an entry",
            true,
            &[],
            Nothing,
            "200",
            One("OnBehalfOfResponse"),
        ),
        (
            Put,
            "/clients/{client_id}/onbehalfof/{onbehalfof}",
            "Change an entry",
            true,
            &[],
            One("OnBehalfOfRequest"),
            "200",
            One("OnBehalfOfResponse"),
        ),
        (Delete, "/clients/{client_id}/onbehalfof/{onbehalfof}", "Deactivate an entry", true, &[], Nothing, "200", Nothing),
        (
            Get,
            "/scopes",
            "List the own scopes, or show one",
            true,
            &["inactive", "scope"],
            Nothing,
            "200",
            OneOrMany("ScopeResponse"),
        ),
        (Post, "/scopes", "Create a scope", true, &[], One("ScopeRequest"), "201", One("ScopeResponse")),
        (Put, "/scopes", "Change a scope", true, &["scope"], One("ScopeRequest"), "200", One("ScopeResponse")),
        (Delete, "/scopes", "Deactivate a scope", true, &["scope"], Nothing, "200", One("ScopeResponse")),
        (Get, "/scopes/all", "List public scopes", false, &["accessible_for_all"], Nothing, "200", Many("ScopeResponse")),
        (
            Get,
            "/scopes/access",
            "List accesses to the own scopes",
            true,
            &["scope", "consumer_orgno", "inactive"],
            Nothing,
            "200",
            Many("AccessResponse"),
        ),
        (
            Get,
            "/scopes/access/all",
            "List what was granted to the own organisation",
            true,
            &[],
            Nothing,
            "200",
            Many("AccessResponse"),
        ),
        (Put, "/scopes/access/{orgno}", "Grant a scope", true, &["scope"], Nothing, "200", One("AccessResponse")),
        (Delete, "/scopes/access/{orgno}", "Withdraw a scope", true, &["scope"], Nothing, "200", One("AccessResponse")),
        (Get, "/delegationsources", "List who keeps delegations", false, &[], Nothing, "200", Many("DelegationSourceResponse")),
        (
            Put,
            "/delegationsources/{name}",
            "Register who keeps delegations (operator)",
            true,
            &[],
            One("DelegationSourceRequest"),
            "200",
            One("DelegationSourceResponse"),
        ),
        (
            Get,
            "/delegations",
            "List delegations that concern the own organisation",
            true,
            &["scope", "consumer_orgno", "supplier_orgno", "inactive"],
            Nothing,
            "200",
            Many("DelegationResponse"),
        ),
        (
            Get,
            "/maskinporten/delegations",
            "The same, with Altinn's parameters",
            true,
            &["scope", "consumerOrg", "supplierOrg"],
            Nothing,
            "200",
            Many("DelegationResponse"),
        ),
        (
            Put,
            "/delegations/{orgno}",
            "Delegate a scope to a supplier",
            true,
            &["scope", "consumer_orgno"],
            Nothing,
            "200",
            One("DelegationResponse"),
        ),
        (
            Delete,
            "/delegations/{orgno}",
            "Take a delegation back",
            true,
            &["scope", "consumer_orgno"],
            Nothing,
            "200",
            One("DelegationResponse"),
        ),
        (
            Put,
            "/systemusers/{id}",
            "Register a system user (operator)",
            true,
            &[],
            One("SystemUserRequest"),
            "200",
            One("SystemUserResponse"),
        ),
        (Put, "/consents/{id}", "Register a consent (operator)", true, &[], One("ConsentRequest"), "200", One("ConsentResponse")),
        (Get, "/organisations", "List organisations (operator)", true, &[], Nothing, "200", Many("OrganisationResponse")),
        (
            Put,
            "/organisations/{orgno}",
            "Register an organisation (operator)",
            true,
            &[],
            One("OrganisationRequest"),
            "200",
            One("OrganisationResponse"),
        ),
        (
            Get,
            "/audit",
            "Read what the audit log says about the own organisation, by pages",
            true,
            &["since", "after", "limit", "orgno"],
            Nothing,
            "200",
            One("AuditPage"),
        ),
        (
            Get,
            "/altinn/admin/clients",
            "List clients (Altinn's platform)",
            true,
            &["inactive"],
            Nothing,
            "200",
            Many("ClientResponse"),
        ),
        (
            Post,
            "/altinn/admin/clients",
            "Register a client (Altinn's platform)",
            true,
            &[],
            One("ClientRequest"),
            "201",
            One("ClientResponse"),
        ),
        (
            Get,
            "/altinn/admin/clients/{client_id}",
            "Show a client (Altinn's platform)",
            true,
            &["inactive"],
            Nothing,
            "200",
            One("ClientResponse"),
        ),
        (
            Put,
            "/altinn/admin/clients/{client_id}",
            "Replace a client's settings (Altinn's platform)",
            true,
            &[],
            One("ClientRequest"),
            "200",
            One("ClientResponse"),
        ),
        (
            Delete,
            "/altinn/admin/clients/{client_id}",
            "Deactivate a client (Altinn's platform)",
            true,
            &[],
            Nothing,
            "204",
            Nothing,
        ),
        (
            Post,
            "/altinn/admin/clients/{client_id}/jwks",
            "Replace a client's keys (Altinn's platform)",
            true,
            &[],
            One("KeySetRequest"),
            "201",
            One("KeySetResponse"),
        ),
        (
            Get,
            "/altinn/admin/clients/{client_id}/jwks",
            "Show a client's keys (Altinn's platform)",
            true,
            &[],
            Nothing,
            "200",
            One("KeySetResponse"),
        ),
    ]
};

/// The whole description.
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for call in CALLS {
        paths = paths.path(call.1, path_item(call));
    }
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("skybru self-service")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Organisations register scopes, accesses, clients and keys. The caller is the consumer of the access token. Every path \
                     is also served without the prefix, and every collection with a slash at its end.",
                ))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url("/api/v1").build()]))
        .paths(paths)
        .components(Some(schemas(ComponentsBuilder::new()).security_scheme("token", token).build()))
        .build()
}

/// Adds every type that is read or written, and those inside them.
fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    fn add<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        components.schemas_from_iter(inner).schema(T::name(), <T as PartialSchema>::schema())
    }
    let adders = [
        add::<ErrorBody>,
        add::<ClientInput>,
        add::<ClientView>,
        add::<KeySetInput>,
        add::<KeySetView>,
        add::<OnBehalfOfInput>,
        add::<OnBehalfOfView>,
        add::<ScopeInput>,
        add::<ScopeView>,
        add::<AccessView>,
        add::<DelegationView>,
        add::<DelegationSourceInput>,
        add::<DelegationSourceView>,
        add::<SystemUserInput>,
        add::<SystemUserView>,
        add::<ConsentInput>,
        add::<ConsentView>,
        add::<OrganisationInput>,
        add::<OrganisationResponse>,
        add::<AuditPage>,
    ];
    adders.into_iter().fold(components, |components, add| add(components))
}

/// An organisation as it goes out; the registry's own type is written.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the registry's type looks like on the wire")]
struct OrganisationResponse {
    orgno: String,
    name: String,
    prefixes: Vec<String>,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_updated: String,
}

fn path_item((method, path, summary, protected, query, takes, status, answers): &Call) -> PathItem {
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = in_path
        .map(|name| parameter(name, ParameterIn::Path))
        .chain(query.iter().map(|name| parameter(name, ParameterIn::Query)));
    let mut answer = ResponseBuilder::new().description("Done");
    if let Some(schema) = schema(*answers) {
        answer = answer.content("application/json", ContentBuilder::new().schema(Some(schema)).build());
    }
    let mut operation = OperationBuilder::new().summary(Some(*summary)).parameters(Some(parameters)).response(*status, answer);
    let refusals: &[(&str, &str)] = &[
        ("400", "The request is wrong"),
        ("401", "No token, or not a good one"),
        ("403", "A good token that does not allow this"),
        ("404", "Not there, or not the caller's"),
        ("409", "It exists already, perhaps deactivated"),
        ("429", "Too many requests from this organisation; Retry-After says when to come again"),
    ];
    for (status, description) in refusals.iter().filter(|(status, _)| *protected || *status == "400") {
        let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorResponse"))).build();
        operation =
            operation.response(*status, ResponseBuilder::new().description(*description).content("application/json", body));
    }
    if let Some(schema) = schema(*takes) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        operation = operation.request_body(Some(
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build(),
        ));
    }
    if *protected {
        operation = operation.security(SecurityRequirement::new("token", [""; 0]));
    }
    PathItem::new(method.clone(), operation)
}

fn parameter(name: &str, place: ParameterIn) -> Parameter {
    let is_path = matches!(place, ParameterIn::Path);
    let kind = match name {
        "inactive" | "accessible_for_all" => Type::Boolean,
        "limit" => Type::Integer,
        _ => Type::String,
    };
    let required = if is_path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}

fn schema(shape: Shape) -> Option<RefOr<Schema>> {
    let one = |name: &str| RefOr::Ref(Ref::from_schema_name(name));
    let many = |name: &str| RefOr::T(Schema::Array(ArrayBuilder::new().items(one(name)).build()));
    Some(match shape {
        Nothing => return None,
        One(name) => one(name),
        Many(name) => many(name),
        OneOrMany(name) => {
            let either = utoipa::openapi::schema::OneOfBuilder::new().item(one(name)).item(many(name)).build();
            RefOr::T(Schema::OneOf(either))
        }
        Object => RefOr::T(Schema::Object(ObjectBuilder::new().build())),
    })
}
