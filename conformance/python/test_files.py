"""Files: uploads, their copies in a sandbox, and what a session leaves behind."""

from __future__ import annotations

import pytest
from anthropic import APIStatusError, BadRequestError, NotFoundError

from driver import BETA, conforms, eventually, finished, only, raw, run_turn, text_of

UPLOADS = "/mnt/session/uploads"
OUTPUTS = "/mnt/session/outputs"


def upload(client, name="data.csv", content=b"a,b\n1,2\n", media_type="text/csv"):
    return client.beta.files.upload(file=(name, content, media_type))


def printed(client, session, command):
    return text_of(only(finished(run_turn(client, session, command)), "agent.tool_result"))


def outputs_of(client, session):
    return list(client.beta.files.list(scope_id=session.id, betas=[BETA]))


def test_an_upload_is_described_as_it_was_sent(client):
    file = conforms(upload(client))
    assert file.id.startswith("file_")
    assert (file.type, file.filename, file.mime_type, file.size_bytes) == ("file", "data.csv", "text/csv", 8)
    assert file.downloadable is False
    assert raw(client.beta.files.retrieve_metadata(file.id)) == raw(file)


def test_the_list_is_newest_first_and_complete_in_pages(client):
    made = [upload(client, f"number-{number}.txt").id for number in range(3)]
    listed = []
    for file in client.beta.files.list(limit=2):
        listed.append(file.id)
        if set(made) <= set(listed):
            break
    assert [id for id in listed if id in made] == made[::-1]


def test_some_files_are_listed_by_their_ids(client):
    made = [upload(client).id for _ in range(3)]
    listed = client.beta.files.list(extra_query={"ids": [made[0], made[2], "file_01nothing"]})
    assert {file.id for file in listed.data} == {made[0], made[2]}


def test_an_upload_cannot_be_downloaded(client):
    file = upload(client)
    with pytest.raises(BadRequestError) as refusal:
        client.beta.files.download(file.id)
    assert refusal.value.body["error"]["details"]["error_code"] == "file_not_downloadable"


def test_a_deleted_file_is_gone(client):
    file = upload(client)
    assert raw(client.beta.files.delete(file.id)) == {"id": file.id, "type": "file_deleted"}
    for ask in (client.beta.files.retrieve_metadata, client.beta.files.download, client.beta.files.delete):
        with pytest.raises(NotFoundError):
            ask(file.id)


def test_only_the_last_part_of_a_path_is_the_name(wire):
    answer = wire.post("/v1/files", files={"file": ("dir/notes.txt", b"text", "text/plain")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"] == "notes.txt"


def test_files_need_no_beta_header(wire):
    request = wire.build_request("GET", "/v1/files")
    del request.headers["anthropic-beta"]
    assert wire.send(request).status_code == 200


def test_an_upload_without_a_file_names_the_field(wire):
    answer = wire.post("/v1/files", files={"purpose": (None, "testing")})
    assert answer.status_code == 400
    assert "file" in answer.json()["error"]["message"]


# === in a session ===


def test_a_file_is_mounted_where_it_was_asked_for(client, start):
    file = upload(client)
    session = conforms(start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/in/data.csv"}]))
    (resource,) = session.resources
    assert resource.id.startswith("sesrsc_")
    assert resource.mount_path == f"{UPLOADS}/in/data.csv"
    assert resource.file_id != file.id, "the session has a copy of its own"
    assert printed(client, session, f"cat {UPLOADS}/in/data.csv").split() == ["a,b", "1,2"]


def test_a_file_without_a_path_is_mounted_in_the_uploads(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id}])
    (resource,) = session.resources
    assert resource.mount_path.startswith(f"{UPLOADS}/file_")
    assert printed(client, session, f"cat {resource.mount_path}").split() == ["a,b", "1,2"]


def test_a_mounted_file_cannot_be_changed(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/data.csv"}])
    events = finished(run_turn(client, session, f"echo changed >> {UPLOADS}/data.csv && echo it worked"))
    assert only(events, "agent.tool_result").is_error is True
    assert printed(client, session, f"cat {UPLOADS}/data.csv").split() == ["a,b", "1,2"]


def test_a_session_outlives_the_upload_it_was_given(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/data.csv"}])
    client.beta.files.delete(file.id)
    assert printed(client, session, f"cat {UPLOADS}/data.csv").split() == ["a,b", "1,2"]


def test_resources_are_listed_and_retrieved(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/data.csv"}])
    (resource,) = list(client.beta.sessions.resources.list(session.id))
    assert raw(resource) == raw(session.resources[0])
    assert raw(client.beta.sessions.resources.retrieve(resource.id, session_id=session.id)) == raw(resource)


def test_a_live_session_is_given_files_and_has_them_taken_away(client, start):
    first, second = upload(client), upload(client, name="more.csv", content=b"c,d\n3,4\n")
    session = start("shell", resources=[{"type": "file", "file_id": first.id, "mount_path": "/data.csv"}])
    assert printed(client, session, f"ls {UPLOADS}").strip() == "data.csv"
    added = client.beta.sessions.resources.add(
        session.id, type="file", file_id=second.id, mount_path="/deep/more.csv"
    )
    conforms(added)
    assert added.mount_path == f"{UPLOADS}/deep/more.csv" and added.file_id != second.id
    assert printed(client, session, f"cat {UPLOADS}/deep/more.csv").split() == ["c,d", "3,4"]
    assert [raw(one)["id"] for one in client.beta.sessions.resources.list(session.id)] == [
        session.resources[0].id,
        added.id,
    ]
    gone = client.beta.sessions.resources.delete(session.resources[0].id, session_id=session.id)
    assert raw(gone) == {"id": session.resources[0].id, "type": "session_resource_deleted"}
    assert printed(client, session, f"ls {UPLOADS}").strip() == "deep"
    assert [one.id for one in client.beta.sessions.retrieve(session.id).resources] == [added.id]
    with pytest.raises(NotFoundError):
        client.beta.sessions.resources.delete(session.resources[0].id, session_id=session.id)
    assert client.beta.files.retrieve_metadata(first.id).id == first.id


def test_a_file_is_added_before_there_is_a_sandbox(client, start):
    file = upload(client)
    session = start("shell")
    client.beta.sessions.resources.add(session.id, type="file", file_id=file.id, mount_path="/data.csv")
    assert printed(client, session, f"cat {UPLOADS}/data.csv").split() == ["a,b", "1,2"]


def test_a_file_cannot_be_added_where_another_one_is(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/data.csv"}])
    for path in ("/data.csv", "/data.csv/below"):
        with pytest.raises(BadRequestError) as refusal:
            client.beta.sessions.resources.add(session.id, type="file", file_id=file.id, mount_path=path)
        assert "mount_path" in str(refusal.value)
    with pytest.raises(APIStatusError):
        client.beta.sessions.resources.add(session.id, type="file", file_id="file_01nothing")
    client.beta.sessions.archive(session.id)
    with pytest.raises(BadRequestError):
        client.beta.sessions.resources.add(session.id, type="file", file_id=file.id, mount_path="/late.csv")


@pytest.mark.parametrize("path", ["/../../etc/passwd", "data.csv", "/a/../../b", "/" + "é" * 200, "/a" * 600])
def test_a_path_that_leads_out_of_the_uploads_is_refused(client, start, path):
    file = upload(client)
    with pytest.raises(BadRequestError) as refusal:
        start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": path}])
    assert "mount_path" in str(refusal.value)


def test_a_file_that_is_not_there_cannot_be_mounted(client, start):
    with pytest.raises(APIStatusError) as refusal:
        start("shell", resources=[{"type": "file", "file_id": "file_01nothing"}])
    assert refusal.value.status_code in (400, 404)


def test_what_a_session_writes_to_its_outputs_can_be_downloaded(client, start):
    session = start("shell")
    assert outputs_of(client, session) == []
    finished(run_turn(client, session, f"printf 'the report' > {OUTPUTS}/report.txt; echo written"))
    (file,) = eventually(lambda: outputs_of(client, session))
    conforms(file)
    assert (file.filename, file.size_bytes, file.downloadable) == ("report.txt", 10, True)
    assert raw(file)["scope"] == {"type": "session", "id": session.id}
    assert client.beta.files.download(file.id).read() == b"the report"


def test_a_deleted_output_stays_deleted_until_the_session_changes_it(client, start):
    session = start("shell")
    finished(run_turn(client, session, f"echo one > {OUTPUTS}/one.txt; echo two > {OUTPUTS}/two.txt"))
    one = {file.filename: file for file in eventually(lambda: outputs_of(client, session))}["one.txt"]
    assert client.beta.files.delete(one.id).id == one.id
    for gone in (client.beta.files.retrieve_metadata, client.beta.files.download, client.beta.files.delete):
        with pytest.raises(NotFoundError):
            gone(one.id)
    with pytest.raises(NotFoundError):
        start("shell", resources=[{"type": "file", "file_id": one.id}])
    finished(run_turn(client, session, f"echo three > {OUTPUTS}/three.txt"))
    names = eventually(lambda: [file.filename for file in outputs_of(client, session) if file.filename != "two.txt"])
    assert names == ["three.txt"], "what was deleted is not collected again"
    finished(run_turn(client, session, f"echo more >> {OUTPUTS}/one.txt"))
    again = eventually(lambda: [file for file in outputs_of(client, session) if file.filename == "one.txt"])
    assert [client.beta.files.download(file.id).read() for file in again] == [b"one\nmore\n"]


def test_an_output_is_there_whatever_its_name(client, start):
    session = start("shell")
    finished(run_turn(client, session, f"echo late > '{OUTPUTS}/report 10:30?.csv'"))
    (file,) = eventually(lambda: outputs_of(client, session))
    assert file.filename == "report 10_30_.csv"
    assert client.beta.files.download(file.id).read() == b"late\n"


def test_a_resource_goes_although_its_copy_is_gone_already(client, start):
    session = start("shell", resources=[{"type": "file", "file_id": upload(client).id, "mount_path": "/deep/data.csv"}])
    assert printed(client, session, f"ls {UPLOADS}").strip() == "deep"
    client.beta.files.delete(session.resources[0].file_id)
    client.beta.sessions.resources.delete(session.resources[0].id, session_id=session.id)
    assert list(client.beta.sessions.resources.list(session.id)) == []
    client.beta.sessions.resources.add(session.id, type="file", file_id=upload(client).id, mount_path="/deep")
    assert printed(client, session, f"cat {UPLOADS}/deep").split() == ["a,b", "1,2"], "where its directory was"


def test_outputs_of_one_session_are_not_those_of_another(client, start):
    one, other = start("shell"), start("shell")
    finished(run_turn(client, one, f"echo one > {OUTPUTS}/one.txt; echo written"))
    eventually(lambda: outputs_of(client, one))
    finished(run_turn(client, other, f"echo other > {OUTPUTS}/other.txt; echo written"))
    assert [file.filename for file in eventually(lambda: outputs_of(client, other))] == ["other.txt"]
    assert [file.filename for file in outputs_of(client, one)] == ["one.txt"]


def test_a_deleted_session_takes_its_outputs_along_but_not_the_uploads(client, start):
    file = upload(client)
    session = start("shell", resources=[{"type": "file", "file_id": file.id, "mount_path": "/data.csv"}])
    finished(run_turn(client, session, f"cp {UPLOADS}/data.csv {OUTPUTS}/copy.csv; echo copied"))
    (output,) = eventually(lambda: [file for file in outputs_of(client, session) if file.filename == "copy.csv"])
    client.beta.sessions.delete(session.id)
    with pytest.raises(NotFoundError):
        client.beta.files.retrieve_metadata(output.id)
    assert client.beta.files.retrieve_metadata(file.id).id == file.id
