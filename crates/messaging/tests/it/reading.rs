//! Pages of messages.

use kernel::MessageId;
use serde_json::{Value, json};

use crate::world::{ANA, ROOM, World, message, messages};

/// Ten messages, oldest first.
async fn ten(w: &World) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(w.say(ANA, &format!("m{number}")).await);
    }
    ids
}

/// The texts of a page, in its order.
async fn page(w: &World, query: &str) -> Vec<String> {
    let path = format!("{}{query}", messages(ROOM));
    let reply = w
        .call("GET", &path, ANA, Value::Null)
        .await
        .expect(200)
        .unwrap();
    reply
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["content"].as_str().unwrap().to_owned())
        .collect()
}

fn names(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| format!("m{number}"))
        .collect()
}

#[tokio::test]
async fn pages_are_newest_first_wherever_they_begin() {
    let w = World::new().await;
    let ids = ten(&w).await;
    assert_eq!(page(&w, "").await, names((0..10).rev()));
    for (query, expected) in [
        ("?limit=3".to_owned(), vec![9, 8, 7]),
        ("?limit=100".to_owned(), (0..10).rev().collect()),
        (format!("?before={}&limit=3", ids[5]), vec![4, 3, 2]),
        (format!("?before={}", ids[0]), vec![]),
        (format!("?before={}&limit=2", i64::MAX), vec![9, 8]),
        (format!("?after={}&limit=3", ids[5]), vec![8, 7, 6]),
        (format!("?after={}", ids[9]), vec![]),
        ("?after=0&limit=2".to_owned(), vec![1, 0]),
        (format!("?around={}&limit=5", ids[5]), vec![7, 6, 5, 4, 3]),
        (format!("?around={}&limit=4", ids[5]), vec![6, 5, 4, 3]),
        (format!("?around={}&limit=1", ids[5]), vec![5]),
        (format!("?around={}&limit=4", ids[0]), vec![1, 0]),
        (format!("?around={}&limit=4", ids[9]), vec![9, 8, 7]),
    ] {
        assert_eq!(page(&w, &query).await, names(expected), "{query}");
    }
}

#[tokio::test]
async fn deleted_messages_are_left_out_and_pages_stay_full() {
    let w = World::new().await;
    let ids = ten(&w).await;
    for at in [9, 4] {
        assert_eq!(
            w.call("DELETE", &message(ids[at]), ANA, Value::Null)
                .await
                .status,
            204
        );
    }
    assert_eq!(page(&w, "?limit=3").await, names([8, 7, 6]));
    assert_eq!(
        page(&w, &format!("?around={}&limit=4", ids[4])).await,
        names([6, 5, 3, 2])
    );
    let gone = w.call("GET", &message(ids[4]), ANA, Value::Null).await;
    assert_eq!(
        (gone.status.as_u16(), &gone.json["code"]),
        (404, &json!(10008))
    );
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused() {
    let w = World::new().await;
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?before=x",
        "?before=1&after=2",
        "?limit=-1",
    ] {
        let path = format!("{}{query}", messages(ROOM));
        let reply = w.call("GET", &path, ANA, Value::Null).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (400, &json!(50035)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_empty_room_has_an_empty_page() {
    let w = World::new().await;
    assert!(page(&w, "").await.is_empty());
    let nothing = w
        .call("GET", &message(MessageId::new(5)), ANA, Value::Null)
        .await;
    assert_eq!(nothing.json["code"], json!(10008));
}
