/* cmd_info.c - moetune info: what is here, what is missing, and how to get it. */
#include "command/command.h"
#include "compile/nvrtc.h"
#include "cublas.h"
#include "device/cuda_driver.h"
#include "device/library.h"
#include "measure/cupti.h"
#include "models/presets.h"
#include "run/db.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 512, MAX_GPUS = 64 };

/* What each library is for; without it the rest still works. */
static const struct {
    const moe_library *library;
    const char *use;
} libraries[] = {
    {&moe_library_nvrtc, "compiles kernels: tune, emit, db build"},
    {&moe_library_cuda, "runs kernels on a GPU"},
    {&moe_library_cupti, "times kernels on a GPU; device events without it"},
    {&moe_library_cublas, "bench's yardstick on a GPU"},
};

static bool add_device(json_t *list, const char *name) {
    moe_device *device;
    moe_status status = moe_device_open(name, &device);
    json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "device", name, "present", !status,
                                          "facts", status ? moe_error_text()
                                                          : moe_device_text(device)));
    if (!status) moe_device_close(device);
    return !status;
}

/* Numbered devices are listed up to the first that does not open; if there is none, that one says
 * why. */
static void add_numbered(json_t *list, const char *prefix) {
    char name[32];
    for (int i = 0; i < MAX_GPUS; i++) {
        snprintf(name, sizeof name, "%s:%d", prefix, i);
        if (add_device(list, name)) continue;
        if (i > 0) json_array_remove(list, json_array_size(list) - 1);
        return;
    }
}

static json_t *describe_devices(void) {
    json_t *list = json_array();
    for (int i = 0; moe_device_classes[i]; i++) {
        const moe_device_class *class = moe_device_classes[i];
        char name[32];
        if (!class->names) add_numbered(list, class->prefix);
        for (int j = 0; class->names && class->names[j]; j++) {
            snprintf(name, sizeof name, "%s:%s", class->prefix, class->names[j]);
            add_device(list, name);
        }
    }
    return list;
}

static json_t *describe_libraries(void) {
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        char path[PATH_SIZE] = "";
        void *handle;
        moe_status status = moe_library_open(libraries[i].library, &handle, path, sizeof path);
        json_array_append_new(
            list, json_pack("{s:s, s:b, s:s, s:s}", "library", libraries[i].library->name,
                            "present", !status, "path", status ? "" : path, "about",
                            status ? libraries[i].library->advice : libraries[i].use));
    }
    return list;
}

static json_t *describe_templates(const char *folder) {
    json_t *list = json_array();
    moe_gen *gen;
    moe_status status = command_templates(folder, &gen);
    if (status) {
        json_array_append_new(list, json_string(moe_error_text()));
        return list;
    }
    for (int i = 0; i < moe_gen_count(gen); i++)
        json_array_append_new(list, json_string(moe_template_id(moe_gen_at(gen, i))));
    moe_gen_close(gen);
    return list;
}

static json_t *describe_presets(void) {
    json_t *list = json_array();
    for (int i = 0; moe_preset_list[i].name; i++)
        json_array_append_new(list, json_string(moe_preset_list[i].name));
    return list;
}

static json_t *describe(const char *templates) {
    char db[4096];
    const moe_nvrtc *nvrtc;
    if (moe_db_default_path(db, sizeof db)) db[0] = '\0';
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "moetune", moe_version(), "nvrtc",
                     moe_nvrtc_open(&nvrtc) ? "" : nvrtc->version, "database", db, "devices",
                     describe_devices(), "libraries", describe_libraries(), "templates",
                     describe_templates(templates), "presets", describe_presets());
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_names(const char *title, const json_t *names) {
    size_t i, column = 0;
    json_t *name;
    printf("%s", title);
    json_array_foreach(names, i, name) {
        const char *text = json_string_value(name);
        bool wrap = column + strlen(text) > 78;
        printf("%s%s", wrap ? "\n             " : " ", text);
        column = (wrap ? 0 : column) + strlen(text) + 1;
    }
    printf("\n");
}

static void print_rows(const char *title, const json_t *rows, const char *name,
                       const char *detail, const char *more) {
    size_t i;
    json_t *row;
    printf("%s\n", title);
    json_array_foreach(rows, i, row) {
        bool present = json_is_true(json_object_get(row, "present"));
        printf("  %-15s %-8s %s%s%s\n", text_of(row, name), present ? "found" : "missing",
               text_of(row, detail), more && *text_of(row, detail) ? ": " : "",
               more ? text_of(row, more) : "");
    }
}

static void print_text(const json_t *all) {
    printf("moetune %s, NVRTC %s\n", text_of(all, "moetune"),
           *text_of(all, "nvrtc") ? text_of(all, "nvrtc") : "missing");
    print_rows("libraries", json_object_get(all, "libraries"), "library", "path", "about");
    print_rows("devices", json_object_get(all, "devices"), "device", "facts", NULL);
    printf("database     %s\n", text_of(all, "database"));
    print_names("templates   ", json_object_get(all, "templates"));
    print_names("presets     ", json_object_get(all, "presets"));
}

typedef struct options {
    const char *templates;
    bool json;
} options;

enum { KEY_TEMPLATES = 256, KEY_JSON };

static const struct argp_option option_table[] = {
    {"templates", KEY_TEMPLATES, "DIR", 0, "folder of templates", 0},
    {"json", KEY_JSON, NULL, 0, "write JSON", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_TEMPLATES: o->templates = value; break;
    case KEY_JSON: o->json = true; break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is one argument too many", value); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, "",
    "Lists libraries, devices, templates and presets; says what is missing and how to get it.",
    NULL, NULL, NULL,
};

int cmd_info(int argc, char **argv) {
    options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    json_t *all = describe(o.templates);
    if (!all) return command_fail(moe_fail(MOE_E_MEMORY, "out of memory"));
    if (o.json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_text(all);
    }
    json_decref(all);
    return COMMAND_GOOD;
}
