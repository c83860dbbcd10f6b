//! TLS, SASL and principals. Read and checked so that configurations written for Kafka are understood.

use super::super::ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String};
use super::super::Validator::{Between, OneOf, OneOfIgnoringCase};
use super::super::{ConfigDef, def, unset};

pub(super) const SECURITY: &[ConfigDef] = &[
    def("connections.max.reauth.ms", Long, "0")
        .low()
        .doc("Milliseconds after which a client must authenticate again; 0 for never."),
    def("sasl.server.max.receive.size", Int, "524288").low().doc("Largest SASL message in bytes."),
    unset("security.providers", String).low().doc("Classes that provide security algorithms."),
    unset("principal.builder.class", Class).per_broker().low().doc("Class that names principals."),
    def("ssl.client.auth", String, "none")
        .check(OneOf(&["required", "requested", "none"]))
        .per_broker()
        .low()
        .doc("Whether clients must show a certificate."),
    def("ssl.principal.mapping.rules", String, "DEFAULT").low().doc("How names of certificates become principals."),
    def("ssl.allow.dn.changes", Boolean, "false").low().doc("Whether a new certificate may have another name."),
    def("ssl.allow.san.changes", Boolean, "false")
        .low()
        .doc("Whether a new certificate may have other alternative names."),
    def("ssl.protocol", String, "TLSv1.3").per_broker().low().doc("Newest version of TLS."),
    unset("ssl.provider", String).per_broker().low().doc("Provider of TLS."),
    def("ssl.enabled.protocols", List, "TLSv1.2,TLSv1.3").per_broker().low().doc("Versions of TLS that are spoken."),
    def("ssl.keystore.type", String, "JKS").per_broker().low().doc("Format of the key store: JKS, PKCS12 or PEM."),
    unset("ssl.keystore.location", String).per_broker().low().doc("File of the key store."),
    unset("ssl.keystore.password", Password).per_broker().low().doc("Password of the key store."),
    unset("ssl.key.password", Password).per_broker().low().doc("Password of the private key."),
    unset("ssl.keystore.key", Password).per_broker().low().doc("Private key as PEM text."),
    unset("ssl.keystore.certificate.chain", Password).per_broker().low().doc("Certificate chain as PEM text."),
    def("ssl.truststore.type", String, "JKS").per_broker().low().doc("Format of the trust store: JKS, PKCS12 or PEM."),
    unset("ssl.truststore.location", String).per_broker().low().doc("File of the trust store."),
    unset("ssl.truststore.password", Password).per_broker().low().doc("Password of the trust store."),
    unset("ssl.truststore.certificates", Password).per_broker().low().doc("Trusted certificates as PEM text."),
    def("ssl.keymanager.algorithm", String, "SunX509").per_broker().low().doc("Algorithm of the key manager."),
    def("ssl.trustmanager.algorithm", String, "PKIX").per_broker().low().doc("Algorithm of the trust manager."),
    def("ssl.endpoint.identification.algorithm", String, "https")
        .per_broker()
        .low()
        .doc("How a server's name is checked against its certificate."),
    unset("ssl.secure.random.implementation", String).per_broker().low().doc("Source of random numbers for TLS."),
    def("ssl.cipher.suites", List, "").per_broker().low().doc("Cipher suites that may be used."),
    unset("ssl.engine.factory.class", Class).per_broker().low().doc("Class that makes TLS engines."),
    def("sasl.mechanism.inter.broker.protocol", String, "GSSAPI")
        .per_broker()
        .low()
        .doc("SASL mechanism between brokers."),
    def("sasl.enabled.mechanisms", List, "GSSAPI").per_broker().low().doc("SASL mechanisms that clients may use."),
    unset("sasl.server.callback.handler.class", Class).low().doc("Class that answers the server's side of SASL."),
    def("sasl.kerberos.principal.to.local.rules", List, "DEFAULT")
        .per_broker()
        .low()
        .doc("How Kerberos principals become short names."),
    unset("sasl.jaas.config", Password).per_broker().low().doc("JAAS configuration of a listener."),
    unset("sasl.client.callback.handler.class", Class).low().doc("Class that answers the client's side of SASL."),
    unset("sasl.login.class", Class).low().doc("Class that logs in."),
    unset("sasl.login.callback.handler.class", Class).low().doc("Class that answers the login's questions."),
    unset("sasl.kerberos.service.name", String).per_broker().low().doc("Kerberos name of the brokers."),
    def("sasl.kerberos.kinit.cmd", String, "/usr/bin/kinit").per_broker().low().doc("Path of kinit."),
    def("sasl.kerberos.ticket.renew.window.factor", Double, "0.8")
        .per_broker()
        .low()
        .doc("Share of a ticket's life after which it is renewed."),
    def("sasl.kerberos.ticket.renew.jitter", Double, "0.05")
        .per_broker()
        .low()
        .doc("Random share of the time of renewal."),
    def("sasl.kerberos.min.time.before.relogin", Long, "60000")
        .per_broker()
        .low()
        .doc("Milliseconds between two logins."),
    def("sasl.login.refresh.window.factor", Double, "0.8")
        .per_broker()
        .low()
        .doc("Share of a credential's life after which it is refreshed."),
    def("sasl.login.refresh.window.jitter", Double, "0.05")
        .per_broker()
        .low()
        .doc("Random share of the time of the refresh."),
    def("sasl.login.refresh.min.period.seconds", Short, "60")
        .per_broker()
        .low()
        .doc("Seconds before a credential is refreshed at the earliest."),
    def("sasl.login.refresh.buffer.seconds", Short, "300")
        .per_broker()
        .low()
        .doc("Seconds before its end that a credential is refreshed at the latest."),
    unset("sasl.login.connect.timeout.ms", Int)
        .low()
        .doc("Milliseconds a connection to the identity provider may take."),
    unset("sasl.login.read.timeout.ms", Int).low().doc("Milliseconds an answer of the identity provider may take."),
    def("sasl.login.retry.backoff.max.ms", Long, "10000").low().doc("Most milliseconds between attempts to log in."),
    def("sasl.login.retry.backoff.ms", Long, "100").low().doc("Milliseconds between attempts to log in."),
    def(
        "sasl.oauthbearer.jwt.retriever.class",
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
    )
    .low()
    .doc("Class that fetches tokens."),
    def(
        "sasl.oauthbearer.jwt.validator.class",
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
    )
    .low()
    .doc("Class that checks tokens."),
    unset("sasl.oauthbearer.scope", String).low().doc("Scope to ask for."),
    unset("sasl.oauthbearer.client.credentials.client.id", String).low().doc("Client id for the identity provider."),
    unset("sasl.oauthbearer.client.credentials.client.secret", Password)
        .low()
        .doc("Client secret for the identity provider."),
    def("sasl.oauthbearer.assertion.algorithm", String, "RS256")
        .check(OneOfIgnoringCase(&["ES256", "RS256"]))
        .low()
        .doc("Algorithm that assertions are signed with."),
    unset("sasl.oauthbearer.assertion.claim.aud", String).low().doc("Audience of assertions."),
    def("sasl.oauthbearer.assertion.claim.exp.seconds", Int, "300")
        .check(Between(0, 86400))
        .low()
        .doc("Seconds that an assertion is valid."),
    unset("sasl.oauthbearer.assertion.claim.iss", String).low().doc("Issuer of assertions."),
    def("sasl.oauthbearer.assertion.claim.jti.include", Boolean, "false").low().doc("Whether assertions carry an id."),
    def("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, "60")
        .check(Between(0, 3600))
        .low()
        .doc("Seconds by which an assertion's validity begins earlier."),
    unset("sasl.oauthbearer.assertion.claim.sub", String).low().doc("Subject of assertions."),
    unset("sasl.oauthbearer.assertion.file", String).low().doc("File with a ready assertion."),
    unset("sasl.oauthbearer.assertion.private.key.file", String)
        .low()
        .doc("File of the key that assertions are signed with."),
    unset("sasl.oauthbearer.assertion.private.key.passphrase", Password).low().doc("Password of that key."),
    unset("sasl.oauthbearer.assertion.template.file", String).low().doc("File with further claims of assertions."),
    def("sasl.oauthbearer.scope.claim.name", String, "scope").low().doc("Name of the claim with the scope."),
    def("sasl.oauthbearer.sub.claim.name", String, "sub").low().doc("Name of the claim with the subject."),
    unset("sasl.oauthbearer.token.endpoint.url", String).low().doc("Where tokens are fetched."),
    unset("sasl.oauthbearer.jwks.endpoint.url", String).low().doc("Where the keys of the identity provider are."),
    def("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, "3600000")
        .low()
        .doc("Milliseconds between two fetches of the keys."),
    def("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, "100")
        .low()
        .doc("Milliseconds between attempts to fetch the keys."),
    def("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, "10000")
        .low()
        .doc("Most milliseconds between attempts to fetch the keys."),
    def("sasl.oauthbearer.clock.skew.seconds", Int, "30").low().doc("Seconds that clocks may differ."),
    def("sasl.oauthbearer.allow.unverified.audience", Boolean, "false")
        .low()
        .doc("Whether tokens without the expected audience are accepted."),
    def("sasl.oauthbearer.expected.audience", List, "").low().doc("Audiences of which a token must have one."),
    def("sasl.oauthbearer.allow.unverified.issuer", Boolean, "false")
        .low()
        .doc("Whether tokens without the expected issuer are accepted."),
    unset("sasl.oauthbearer.expected.issuer", String).low().doc("Issuer that a token must have."),
    def("super.users", String, "").low().doc("Principals that may do everything, separated by semicolons."),
    def("allow.everyone.if.no.acl.found", Boolean, "false")
        .low()
        .doc("Whether a resource without an ACL is open to everybody."),
];
