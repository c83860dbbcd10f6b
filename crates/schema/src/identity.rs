//! What makes a schema the same schema: the MD5 over text, references and contract, and the GUID made of it.

use md5::{Digest as _, Md5};
use uuid::Uuid;

use crate::Reference;
use crate::contract::{Metadata, Rule, RuleSet};

/// The MD5 of a schema: canonical text, references, metadata and rules, in the order and encoding of the original
/// registry, so that ids and GUIDs assigned there are found again.
pub fn md5(
    canonical: &str,
    references: &[Reference],
    metadata: Option<&Metadata>,
    rules: Option<&RuleSet>,
) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(canonical);
    for reference in references {
        hash.update(&reference.name);
        hash.update(&reference.subject);
        hash.update(reference.version.to_be_bytes());
    }
    if let Some(metadata) = metadata {
        hash_metadata(&mut hash, metadata);
    }
    if let Some(rules) = rules {
        hash.update([1]);
        for rule in rules.rules() {
            hash_rule(&mut hash, rule);
        }
        hash_text(&mut hash, rules.enable_at.as_deref());
    }
    hash.finalize().into()
}

/// The GUID: the 16 bytes of the MD5 as they are, no version bits forced.
pub fn guid(md5: [u8; 16]) -> Uuid {
    Uuid::from_bytes(md5)
}

fn hash_metadata(hash: &mut Md5, metadata: &Metadata) {
    hash.update([1]);
    for (path, tags) in metadata.tags.iter().flatten() {
        hash.update(path);
        for tag in tags {
            hash.update(tag);
        }
    }
    for (name, value) in metadata.properties.iter().flatten() {
        hash.update(name);
        hash.update(value);
    }
    for name in metadata.sensitive.iter().flatten() {
        hash.update(name);
    }
}

fn hash_rule(hash: &mut Md5, rule: &Rule) {
    for text in [&rule.name, &rule.doc, &rule.kind, &rule.mode, &rule.rule_type] {
        hash_text(hash, text.as_deref());
    }
    for tag in rule.tags.iter().flatten() {
        hash.update(tag);
    }
    for (name, value) in rule.params.iter().flatten() {
        hash.update(name);
        hash.update(value);
    }
    for text in [&rule.expr, &rule.on_success, &rule.on_failure] {
        hash_text(hash, text.as_deref());
    }
    if rule.disabled {
        hash.update([1]);
    }
}

fn hash_text(hash: &mut Md5, text: Option<&str>) {
    if let Some(text) = text {
        hash.update(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_schema_hashes_its_text() {
        // printf '"string"' | md5sum
        assert_eq!(guid(md5("\"string\"", &[], None, None)).to_string(), "095d71cf-1255-6b9d-5e33-0ad575b3df5d");
    }

    #[test]
    fn references_metadata_and_rules_are_part_of_it() {
        let reference = Reference { name: "a".to_owned(), subject: "b".to_owned(), version: 258 };
        let plain = md5("x", &[], None, None);
        let referring = md5("x", std::slice::from_ref(&reference), None, None);
        // printf 'xab\x00\x00\x01\x02' | md5sum
        let by_hand: [u8; 16] = Md5::digest(b"xab\x00\x00\x01\x02").into();
        assert_eq!(referring, by_hand);
        let metadata: Metadata =
            serde_json::from_str(r#"{"tags":{"t":["b","a"]},"properties":{"z":"1","p":"v"},"sensitive":["s"]}"#)
                .unwrap();
        let by_hand: [u8; 16] = Md5::digest(b"x\x01tabpvz1s").into();
        assert_eq!(md5("x", &[], Some(&metadata), None), by_hand);
        let rules: RuleSet = serde_json::from_str(
            r#"{"domainRules":[{"name":"n","doc":"d","kind":"k","mode":"m","type":"t","tags":["g"],"params":{"a":"b"},
                "expr":"e","onSuccess":"s","onFailure":"f","disabled":true}],"enableAt":"ALL"}"#,
        )
        .unwrap();
        let by_hand: [u8; 16] = Md5::digest(b"x\x01ndkmtgabesf\x01ALL").into();
        assert_eq!(md5("x", &[], None, Some(&rules)), by_hand);
        assert_ne!(plain, md5("x", &[], Some(&Metadata::default()), None));
    }
}
