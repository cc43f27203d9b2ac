//! A judge: where it answers, how its ARNs look, and what it says.

use serde_json::json;

use super::cases::Made;
use super::ceph::Ceph;
use super::issuer::{AUDIENCE, TestIssuer};
use super::moto::Moto;
use super::table::TAKES;
use crate::support::Lab;
use crate::support::aws::{Aws, Keys};

const ROLE: &str = "judged";

/// One of those that are asked.
pub(super) struct Judge {
    aws: Aws,
    /// Ceph's ARNs name none.
    account: &'static str,
}

impl Judge {
    pub(super) fn simulator(lab: &Lab) -> Self {
        Self { aws: Aws::of(lab), account: "123456789012" }
    }

    pub(super) fn ceph(ceph: &Ceph) -> Self {
        Self { aws: Aws::at(&ceph.endpoint, ceph.keys()), account: "" }
    }

    pub(super) fn moto(moto: &Moto) -> Self {
        let keys = Keys { id: "any".to_owned(), secret: "any".to_owned(), token: None };
        Self { aws: Aws::at(&moto.endpoint, keys), account: "123456789012" }
    }

    fn provider(&self, issuer: &TestIssuer) -> String {
        format!("arn:aws:iam::{}:oidc-provider/{}", self.account, issuer.host())
    }

    /// The issuer's provider, and the role.
    pub(super) fn set_up(&self, issuer: &TestIssuer) {
        // Ceph 16 wants a thumbprint, and looks at none; the simulator wants the one of the site's authority.
        let thumbprint = issuer.site.thumbprint();
        let provider =
            [("Url", issuer.site.url.as_str()), ("ClientIDList.member.1", AUDIENCE), ("ThumbprintList.member.1", &thumbprint)];
        self.aws.iam("CreateOpenIDConnectProvider", &provider);
        let policy = self.trust_policy(&Made::good(issuer), issuer);
        self.aws.iam("CreateRole", &[("RoleName", ROLE), ("AssumeRolePolicyDocument", &policy)]);
    }

    /// Compact: Ceph 16 reads the plus of a form as a plus.
    fn trust_policy(&self, made: &Made, issuer: &TestIssuer) -> String {
        let principal = made.principal.map_or_else(|| self.provider(issuer), str::to_owned);
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": [principal]}, "Action": made.actions, "Condition": made.condition,
        }]})
        .to_string()
    }

    /// `takes it`, or the code with which it refuses.
    pub(super) fn verdict(&self, made: &Made, issuer: &TestIssuer) -> String {
        let policy = self.trust_policy(made, issuer);
        self.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", ROLE), ("PolicyDocument", &policy)]);
        let role = format!("arn:aws:iam::{}:role/{}", self.account, made.role.unwrap_or(ROLE));
        let (status, body) = self.aws.exchange_for(&role, &made.token(issuer), made.duration);
        match status {
            200 => TAKES.to_owned(),
            _ => body
                .split_once("<Code>")
                .and_then(|(_, rest)| rest.split_once("</Code>"))
                .map_or_else(|| format!("refuses: status {status}"), |(code, _)| format!("refuses: {code}")),
        }
    }
}
