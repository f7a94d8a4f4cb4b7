"""The pure core: models, errors, log records and the wire format. No I/O.

From the top: `endpoints` (products and calls), `wire` (bytes to models), `decode`
(JSON values to models), `unknown` (submissions whose outcome is unknown), `arguments`
(checks), `models`, `catalogue`, `log`, `html`, `errors`, `text`.

## Glossary

- *prompt*: The text to draw from, or an `ImageRequest` that contains it.
- *request*: What a caller asks for, as a model (`ImageRequest`); in `_http`, one HTTP
  request.
- *product*: Something that AI Studio makes, such as images, with its endpoints.
- *call*: An HTTP request as a value, together with the reader of its answer.
- *attempt*: One try at a call. A call that is retried has several.
- *answer*: What the service sent back for one attempt: status, headers, body.
- *paid*: A call that costs credits once the service accepts it. Only a POST is paid.
- *submission*: A paid call on its way, from the wait for its turn to its outcome.
- *turn*: Permission to make one attempt now, within the limits of the session.
- *permit*: Permission for the body of a paid call to leave; it can be withdrawn until
  then.
- *on the wire*: The body of a paid call has left, and no answer has arrived.
- *accepted*: The service answered a submission with the id of a job.
- *refused*: The service answered that it created nothing.
- *unknown*: A paid call may or may not have created a job; it is never sent again.
- *abandoned*: A submission on the wire whose caller was cancelled; it is finished in
  the background.
- *job*: The service's work on one request, known by its id. In code, its `JobHandle`.
- *poll*: One attempt to ask the service for the state of a job.
- *report*: What one readable answer to a poll says of its job.
- *attached*: A job that the session knows by its id only; it was submitted elsewhere.
- *in progress*: A job that has not ended, and that the session polls.
- *ended*: A job whose handle has its result or its error.
- *policy*: The rules a user can pass in: ``polling=``, ``retries=``, ``limits=``.
- *throttled*: Answered with 429 or 503, which slows the whole session.
- *result*: What a job made, such as a `GeneratedImage`.
- *image*: What was drawn. A *picture* is an image file, or an image as it is shown.
- *history*: The account's images, newest first, in *pages*.
- *claim*: The knowledge that an image of the history belongs to a job of this session.
- *snapshot*: A frozen copy of figures or of a state at one moment.

## Tags

A tag says how certain a fact about the API is: [D] documented by Pictory, [O] found in
official client code, [C] seen in third-party code, [I] inferred. The pages that are
named with [D] are below https://docs.pictory.ai/.
"""
