//! Who may use an HTTP server, and how it proves who it is: rows for the table of each server.

use milena_stdx::config_def::ConfigType::{Boolean, List, Password, String};
use milena_stdx::config_def::Validator::OneOfIgnoringCase;
use milena_stdx::config_def::{ConfigDef, def, unset};

/// Names and passwords. Each server adds its own `authentication.realm`.
pub const AUTHENTICATION: &[ConfigDef] = &[
    def("authentication.method", String, "NONE")
        .check(OneOfIgnoringCase(&["NONE", "BASIC"]))
        .doc("BASIC asks every request for name and password."),
    def("authentication.roles", List, "*").doc("Users need one of these roles; `*` is any."),
    def("authentication.skip.paths", List, "").low().doc("Paths that need no password."),
    unset("milena.authentication.file", String)
        .doc("The users: a property file with lines `name: password,role,role`; passwords plain, `MD5:` or `OBF:`."),
];

/// TLS of `https://` listeners.
pub const TLS: &[ConfigDef] = &[
    unset("ssl.keystore.location", String).doc("Certificate and key of `https://` listeners: PKCS#12 or PEM."),
    unset("ssl.keystore.password", Password).doc("Its password."),
    unset("ssl.keystore.type", String).low().doc("JKS (read as PKCS#12), PKCS12 or PEM."),
    unset("ssl.key.password", Password).low().doc("The password of the key in a PEM file."),
    unset("ssl.truststore.location", String)
        .doc("Whose certificates are believed: those of clients, and of other servers where this one calls them."),
    unset("ssl.truststore.password", Password).doc("Its password."),
    unset("ssl.truststore.type", String).low().doc("As `ssl.keystore.type`."),
    def("ssl.client.authentication", String, "NONE")
        .check(OneOfIgnoringCase(&["NONE", "REQUESTED", "REQUIRED"]))
        .doc("Whether clients of `https://` listeners show certificates."),
    def("ssl.client.auth", Boolean, "false").low().doc("Older form of `ssl.client.authentication=REQUIRED`."),
    def("ssl.enabled.protocols", List, "TLSv1.2,TLSv1.3").low().doc("Versions of TLS."),
    unset("ssl.cipher.suites", List).low().doc("Cipher suites; without it the usual ones."),
];
