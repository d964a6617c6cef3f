/* layer_replay.c - plans on a layer's case, ready to be timed. */
#include "judge/layer_replay.h"

#include "judge/layer_case_private.h"

#include <stdio.h>
#include <string.h>

static moe_status run_on(const moe_layer_replay *r, void *stream) {
    const moe_io io = layer_io(r->c, false);
    return moe_plan_run(r->plan, &io, r->c->tokens, stream);
}

/* What a run puts on the stream, recorded; the stream is given back in any case. */
static moe_status record(moe_layer_replay *r) {
    const moe_device_class *class = r->device->class;
    void *stream;
    MOE_TRY(class->graph_begin(r->device->self, &stream));
    moe_status ran = run_on(r, stream);
    moe_status status = class->graph_end(r->device->self, stream, &r->graph);
    return ran ? ran : status;
}

/* One workspace that is large enough for each. */
static moe_status share_workspace(moe_layer_case *c, const moe_plan *const *plan, int count) {
    size_t most = 0, bytes;
    for (int i = 0; i < count; i++) {
        MOE_TRY(moe_plan_workspace(plan[i], c->tokens, &bytes));
        if (bytes > most) most = bytes;
    }
    return layer_set_workspace(c, most);
}

moe_status moe_layer_replays_open(moe_device *device, moe_layer_case *c,
                                  const moe_plan *const *plan, int count, moe_layer_replay *out,
                                  char *note, size_t size) {
    snprintf(note, size, "%s", "");
    MOE_TRY(share_workspace(c, plan, count));
    for (int i = 0; i < count; i++)
        out[i] = (moe_layer_replay){.c = c, .plan = plan[i], .device = device};
    if (!device->class->graph_begin) return MOE_OK;
    for (int i = 0; i < count; i++) {
        if (!record(&out[i])) continue;
        /* All or none: a replay and a series of launches are not to be compared. */
        snprintf(note, size, "%.400s; launched kernel by kernel instead", moe_error_text());
        moe_layer_replays_close(out, count);
        break;
    }
    return MOE_OK;
}

void moe_layer_replays_close(moe_layer_replay *replay, int count) {
    for (int i = 0; i < count; i++) {
        if (replay[i].graph) replay[i].device->class->graph_free(replay[i].device->self,
                                                                 replay[i].graph);
        replay[i].graph = NULL;
    }
}

moe_status moe_layer_replay_run(void *context) {
    const moe_layer_replay *r = context;
    if (!r->graph) return run_on(r, NULL);
    return r->device->class->graph_launch(r->device->self, r->graph);
}

moe_status moe_layer_replay_judge(moe_layer_replay *replay, moe_layer_verdict *out) {
    const moe_layer_case *c = replay->c;
    const moe_device_class *class = replay->device->class;
    char text[sizeof out->text];
    *out = (moe_layer_verdict){.ok = true};
    if (!replay->graph) return MOE_OK;
    MOE_TRY(class->poison(replay->device->self, c->address[MOE_ARG_y], c->bytes[MOE_ARG_y]));
    MOE_TRY(moe_layer_replay_run(replay));
    MOE_TRY(class->sync(replay->device->self, NULL));
    MOE_TRY(moe_layer_case_judge_y(replay->c, out));
    if (out->ok) return MOE_OK;
    snprintf(text, sizeof text, "replayed: %.240s", out->text);
    memcpy(out->text, text, sizeof text);
    return MOE_OK;
}
