"""Rows of tables with everything filled in that a test does not speak of."""

from datetime import UTC, date, datetime
from typing import Any

MONDAY, TUESDAY, WEDNESDAY = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)


def review(user_id: str, item_id: str, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "user_id": user_id, "item_id": item_id}
    row |= {"reviewed_at": datetime(2024, 1, 1, 12, tzinfo=UTC), "rating": 5.0}
    return {**row, "title": None, "text": None, "vote": None, "verified": None, **values}


def erased(user_id: str) -> dict[str, Any]:
    return {"user_id": user_id, "erased_on": TUESDAY}


def event(user_id: str, item_id: str, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "user_id": user_id, "item_id": item_id, "event_type": "purchase"}
    return {**row, "occurred_at": datetime(2024, 1, 1, 12, tzinfo=UTC), **values}


def item(item_id: str, title: str | None, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "item_id": item_id, "title": title, "brand": None, "categories": []}
    return {**row, "price": None, "description": None, "image_url": None, **values}


def user(user_id: str, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "user_id": user_id, "age": None, "gender": None, "occupation": None}
    return {**row, **values}


def picture(item_id: str, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "item_id": item_id, "file": f"{item_id}.png", "sha256": "0", "format": "png"}
    return {**row, "width": 8, "height": 8, "bytes": 99, **values}


def user_feature(user_id: str, **values: Any) -> dict[str, Any]:
    row = {"ds": MONDAY, "user_id": user_id, "history": [0], "history_days": [1], "history_types": [4], "seen": [0]}
    row |= {"interaction_count": 1, "review_count": 1, "purchase_count": 0, "cart_count": 0, "view_count": 0}
    row |= {"rating_mean": 5.0, "rating_variance": 0.0, "first_on": MONDAY, "last_on": MONDAY, "active_days": 1}
    row |= {"favourite_categories": [], "age": None, "gender": None, "occupation": None, "attributes": [0, 0, 0]}
    return {**row, **values}


def item_feature(item_id: str, item_index: int, **values: Any) -> dict[str, Any]:
    row = {"ds": MONDAY, "item_id": item_id, "item_index": item_index, "title": None, "tokens": [], "categories": []}
    row |= {"brand": 0, "price": None, "price_band": 0, "has_image": False, "trend": 0.0}
    row |= dict.fromkeys(("popularity", *(f"popularity_{days}d" for days in (1, 7, 30, 365))), 0)
    row |= {"review_count": 0, "half_stars": 0, "rating_mean": None, "rating_shrunk": None}
    return {**row, **values}


def recommendation(user_id: str, rank: int, item_id: str, **values: Any) -> dict[str, Any]:
    row = {"ds": MONDAY, "user_id": user_id, "rank": rank, "item_id": item_id, "score": 1.0 / rank}
    return {**row, "source": "two_tower", "model_version": "2024-01-01-0123456789ab", **values}


def arrival(**values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "kind": "reviews", "file": "a.json", "format": "amazon-2023", "origin": "a.json"}
    return {
        **row,
        "sha256": "0",
        "lines_read": 10,
        "accepted": 7,
        "rejected": 1,
        "duplicates": 2,
        "erased": 0,
        "same_as": None,
        **values,
    }


def rejected_row(reason: str, line_number: int, **values: Any) -> dict[str, Any]:
    row = {"arrived_on": MONDAY, "kind": "reviews", "file": "a.json", "line_number": line_number, "origin": "a.json"}
    return {**row, "origin_line": line_number, "reason": reason, "line_hash": "0", **values}


def attempt(ds: date, job: str, status: str = "success", **values: Any) -> dict[str, Any]:
    at = datetime(2024, 1, 5, tzinfo=UTC)
    row = {"ds": ds, "job": job, "attempt": 1, "run_id": "manual", "started_at": at, "status": status, "message": ""}
    row |= {"ended_at": None if status == "running" else at, "code_hash": "", "settings_hash": ""}
    row |= dict.fromkeys(("rows_in", "rows_out", "versions", "inputs"), "{}")
    return {**row, **values}


def verdict(**values: Any) -> dict[str, Any]:
    row = {"ds": MONDAY, "verdict": "promoted", "reason": "better", "model_version": None}
    return {**row, "effective_from": MONDAY, "sequence": 0, **values}
