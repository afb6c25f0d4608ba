//! Principals, packages, installations, triggers.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

pub async fn principals_and_tokens(home: &Home) {
    let store = home.open().await;
    let make = |name: &str, token: &[u8]| Principal {
        name: who(name),
        role: Role::Client,
        tenants: vec![tenant("acme")],
        token: Digest::of(token),
        created_at: at(1),
        expires_at: Some(at(9)),
    };
    let put = |principal: &Principal| Write::PutPrincipal(Box::new(principal.clone()));
    let (mut ann, bob) = (make("ann", b"a"), make("bob", b"b"));
    store
        .commit(None, vec![put(&bob), put(&ann)])
        .await
        .unwrap();
    assert_eq!(
        store.principals().await.unwrap(),
        [ann.clone(), bob.clone()]
    );
    let found = store.principal_by_token(&Digest::of(b"b")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&bob));
    ann.role = Role::Admin;
    ann.token = Digest::of(b"new");
    store.commit(None, vec![put(&ann)]).await.unwrap();
    assert_eq!(
        store.principal_by_token(&Digest::of(b"a")).await.unwrap(),
        None
    );
    ann.token = bob.token.clone();
    let stolen = store.commit(None, vec![put(&ann)]).await;
    assert!(
        matches!(stolen, Err(CommitError::Conflict(_))),
        "{stolen:?}"
    );
    let remove = Write::RemovePrincipal(bob.name);
    store.commit(None, vec![remove.clone()]).await.unwrap();
    let again = store.commit(None, vec![remove]).await;
    assert!(matches!(again, Err(CommitError::NotFound(_))), "{again:?}");
    assert_eq!(store.principals().await.unwrap().len(), 1);
    assert_eq!(store.tenants().await.unwrap(), [tenant("acme")]);
}

pub async fn installations_have_generations(home: &Home) {
    let store = home.open().await;
    let make = |generation| Installation {
        name: plugin("research"),
        digest: Digest::of(b"1"),
        previous: Some(Digest::of(b"0")),
        settings: json!({"k": [1]}),
        grant: serde_json::from_value(
            json!({"generation": generation, "capabilities": {}, "tools": {}}),
        )
        .unwrap(),
        status: InstallationStatus::Quarantined,
        installed_at: at(1),
        updated_at: at(i64::from(generation)),
        updated_by: who("ann"),
    };
    let put = async |generation| {
        store
            .commit(
                None,
                vec![Write::PutInstallation(Box::new(make(generation)))],
            )
            .await
    };
    assert!(matches!(put(2).await, Err(CommitError::Conflict(_))));
    put(1).await.unwrap();
    assert!(matches!(put(1).await, Err(CommitError::Conflict(_))));
    assert!(matches!(put(3).await, Err(CommitError::Conflict(_))));
    put(2).await.unwrap();
    assert_eq!(store.installations().await.unwrap(), [make(2)]);
    let former = async || {
        store
            .former_installation(&plugin("research"))
            .await
            .unwrap()
    };
    assert_eq!(former().await, None);
    let remove = Write::RemoveInstallation(Box::new(make(2)));
    store.commit(None, vec![remove.clone()]).await.unwrap();
    assert_eq!(former().await, Some(make(2)));
    let again = store.commit(None, vec![remove]).await;
    assert!(matches!(again, Err(CommitError::NotFound(_))), "{again:?}");
    put(1).await.unwrap();
    let remove = Write::RemoveInstallation(Box::new(make(1)));
    store.commit(None, vec![remove]).await.unwrap();
    assert_eq!(former().await, Some(make(1)));
    put(1).await.unwrap();
}

pub async fn packages_and_triggers(home: &Home) {
    let store = home.open().await;
    let package = Package {
        digest: Digest::of(b"w"),
        bytes: vec![0, 1, 255],
        stored_at: at(1),
    };
    let later = Package {
        stored_at: at(2),
        ..package.clone()
    };
    let put = |package: &Package| Write::PutPackage(Box::new(package.clone()));
    store.commit(None, vec![put(&package)]).await.unwrap();
    store.commit(None, vec![put(&later)]).await.unwrap();
    assert_eq!(store.package(&package.digest).await.unwrap(), Some(package));
    assert_eq!(store.package(&Digest::of(b"other")).await.unwrap(), None);
    let state = |event, tick| TriggerState {
        name: "research/0".to_owned(),
        event,
        tick,
    };
    for (event, tick) in [(4, None), (9, Some(at(3)))] {
        let write = Write::PutTrigger(Box::new(state(event, tick)));
        store.commit(None, vec![write]).await.unwrap();
        assert_eq!(store.triggers().await.unwrap(), [state(event, tick)]);
    }
}

pub async fn policies_have_versions(home: &Home) {
    let store = home.open().await;
    assert_eq!(store.policy().await.unwrap(), None);
    let make = |generation: u64| PolicyVersion {
        generation,
        digest: Digest::of(&generation.to_be_bytes()),
        text: format!("# {generation}\n[thresholds]"),
        source: "api".to_owned(),
        put_by: Actor::from(who("ann")),
        put_at: at(i64::try_from(generation).unwrap()),
    };
    let put = async |generation| {
        let write = Write::PutPolicy(Box::new(make(generation)));
        store.commit(None, vec![write]).await
    };
    for generation in 1..=3 {
        put(generation).await.unwrap();
    }
    for taken in [0, 2, 3, 5] {
        let error = put(taken).await;
        assert!(matches!(error, Err(CommitError::Conflict(_))), "{error:?}");
    }
    assert_eq!(store.policy().await.unwrap(), Some(make(3)));
    let versions = async |before, limit| store.policies(before, limit).await.unwrap();
    assert_eq!(versions(None, 2).await, [make(3), make(2)]);
    assert_eq!(versions(Some(2), 10).await, [make(1)]);
}
