"""Faults: what a server and the network can do to a client, by name.

On the command line and in `Simulator` a fault is written ``NAME[:ARGUMENT…]``. ``K`` is a number of
pieces that arrive before it (default 3), ``S`` a number of seconds.

Before an answer (the request is not checked):

=========================  ====================================================================
``refuse[:S]``             nothing listens on the port, for ever or for the first S seconds. In
                           a sequence, mapping or with ``p`` it acts as ``reset-before-headers``
``reset-before-headers``   the request is read, then the connection is reset
``close-before-headers``   the request is read, then the connection is closed, as by a server
                           whose keep-alive has run out
``hang-before-headers``    the request is read; nothing is ever sent
``status:CODE[:OPTION…]``  an error reply. Options: ``json`` (default), ``html``, ``text``,
                           ``empty``, ``echo`` (JSON that repeats the key that was sent);
                           ``retry-after=S``, ``retry-after-date=S`` (an HTTP date S seconds
                           ahead), ``retry-after-ms=N``; ``should-retry=true`` or ``=false``
``redirect[:URL]``         307 to another host
``wrong-content-type``     200 with an HTML page; ``:TYPE`` names another content type
``json-error``             200 with a JSON error object in place of a stream
=========================  ====================================================================

In an answer (the request is checked first):

=========================  ====================================================================
``json-answer``            a whole JSON answer although a stream was asked for
``hang-before-first-token`` headers, then nothing
``stall[:K]``              K pieces, then nothing, the connection open
``reset[:K]``              K pieces, then RST
``drop[:K]``               K pieces, then FIN without the end of the chunked body
``half-close[:K]``         K pieces, then FIN on the writing side; the server goes on reading
``eof[:K]``                K pieces, then a proper end of the body: no finish reason, no [DONE]
``pause[:S[:K]]``          K pieces, S seconds of nothing (default 1), then the rest; healthy
``buffer[:S]``             what came is handed on every S seconds (default 1), as by a proxy that
                           buffers; healthy
``truncated-utf8[:K]``     like ``eof``, the last event cut inside a character
``bad-utf8[:K]``           an event with bytes that are not UTF-8 after K pieces; then the rest
``malformed-json[:K]``     an event that is not JSON after K pieces; then the rest
``error-frame[:SHAPE[:K]]`` K pieces, then an error inside the 200, then a proper end. Shapes:
                           ``object`` {"error": {…}}, ``text`` {"error": "…"}, ``flat``
                           {"object": "error", "message": …}, ``choices`` (beside an empty
                           ``choices``), ``finish`` (beside ``finish_reason: "error"``),
                           ``event`` (``event: error``), ``event-bare`` (``event: error`` with
                           the inner object), ``echo`` (repeats the key that was sent)
``drip[:S]``               the whole answer in single bytes, S seconds apart (default 0: one per
                           turn of the server's loop)
``endless-line[:K]``       K pieces, then one line for ever
``endless-stream[:S]``     pieces for ever, S seconds apart (default: the simulator's gap)
``comments[:K]``           keep-alive comments between the pieces (K of them, default 1); healthy
``comments-before[:S]``    comments every S seconds (default 0.01) for ever before the first token
``comments-after[:S]``     the same after the finish reason: no usage, no [DONE], no end
``duplicate-choices``      each chunk lists its choice twice, half of the piece in each; the finish
                           chunk comes twice; a correct client gets the whole text
``unordered-choices``      with n > 1: several choices in one chunk, the highest index first
``surrogates[:K]``         an emoji in two deltas, one surrogate half each, after K pieces
``lone-surrogate[:K]``     one surrogate half alone after K pieces
``gzip-cut``               a gzip-compressed body of which the second half is missing
``bad-chunk-size[:K]``     K pieces, then a chunk size that is no number; the connection open
``no-done``                no [DONE]; a whole answer
``no-finish``              [DONE] without a finish reason; a whole answer
``no-usage``               no usage although it was asked for; a whole answer
``hang-after-finish``      a finish reason, then nothing, the connection open
``reset-after-finish``     a finish reason, then RST
=========================  ====================================================================

All of them are there in every dialect, in its own shape. An error inside the 200 is an ``error`` event
in Messages, an ``error`` event and ``response.failed`` in Responses (``error-frame:failed``: the
second alone), a bare object of several lines in Gemini; error replies are those of the service, and
Gemini's have ``retry-after`` in the body. A keep-alive is a ``ping`` in Messages, a ``keepalive`` in
Responses. ``no-done`` leaves out ``message_stop`` or the terminal event, without which an answer is
cut; Gemini has none. ``no-finish`` leaves out ``message_delta``, the last response, or the events
that close the items. ``duplicate-choices`` and ``unordered-choices`` are healthy outside of chat.

What goes on for ever stops when the client goes or the simulator stops. Unstreamed requests get
those faults that cut bytes (the JSON leaves in 8 pieces); the others leave them healthy.
"""
