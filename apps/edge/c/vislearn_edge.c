/* Runs the LiteRT file of a package on pictures from stdin, without Python.
 *
 *     make
 *     ./vislearn_edge PACKAGE/model.tflite PACKAGE/labels.txt < digit.pgm
 *     ffmpeg -i film.mp4 -vf scale=32:32 -f image2pipe -c:v ppm - | ./vislearn_edge ...
 *
 * Pictures are PGM (P5) or PPM (P6), as many as there are, and have the size of the network's input:
 * preprocessing and decoding of answers lie in the file, fitting a picture to a size does not. Each
 * gives a line of JSON: every output as a list of numbers, null where one is not finite, and `label`
 * where there is a class.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "litert.h"

enum { MAX_OUTPUTS = 16, MAX_CLASSES = 100000, MAX_SIDE = 16384 };

static void fail(const char *what, const char *about) {
    fprintf(stderr, "Error: %s%s\n", what, about);
    exit(1);
}

/* Ends the program if a call of LiteRT does. */
#define TRY(call)                                                      \
    do {                                                               \
        LiteRtStatus status = (call);                                  \
        if (status != 0) {                                             \
            fprintf(stderr, "Error: %s gives %d\n", #call, (int)status); \
            exit(1);                                                   \
        }                                                              \
    } while (0)

typedef struct {
    LiteRtRankedTensorType type;
    LiteRtTensorBuffer buffer;
    const char *name;
    size_t count; /* of elements */
} Tensor;

static size_t elements(const LiteRtLayout *layout) {
    size_t count = 1;
    for (unsigned i = 0; i < layout->rank; i++) count *= (size_t)layout->dimensions[i];
    return count;
}

/* The lines of labels.txt; NULL after the last. */
static char **read_labels(const char *path) {
    static char *labels[MAX_CLASSES + 1];
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "r");
    if (!file) fail("can't open ", path);
    for (int count = 0; getline(&line, &room, file) >= 0; count++) {
        if (count == MAX_CLASSES) fail("too many lines in ", path);
        line[strcspn(line, "\r\n")] = 0;
        labels[count] = strdup(line);
    }
    free(line);
    fclose(file);
    return labels;
}

/* A number of a PNM header; comments run from # to the end of the line. */
static int header_number(void) {
    int c = getchar(), value = 0;
    while (isspace(c) || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = getchar();
        c = getchar();
    }
    if (!isdigit(c)) fail("the picture has a damaged header", "");
    for (; isdigit(c) && value <= MAX_SIDE; c = getchar()) value = 10 * value + c - '0';
    return value; /* One white space after the number is read, too. */
}

/* Reads the next picture of stdin into `pixels`; 0 if there is none. */
static int read_picture(uint8_t *pixels, const LiteRtLayout *layout) {
    int c = getchar();
    while (isspace(c)) c = getchar();
    if (c == EOF) return 0;
    int kind = getchar();
    if (c != 'P' || (kind != '5' && kind != '6')) fail("a picture is no PGM (P5) and no PPM (P6)", "");
    int width = header_number(), height = header_number(), largest = header_number();
    int channels = kind == '5' ? 1 : 3;
    const int32_t *wanted = layout->dimensions; /* batch, height, width, channels */
    if (height != wanted[1] || width != wanted[2] || channels != wanted[3] || largest != 255) {
        fprintf(stderr, "Error: a picture of %d x %d x %d up to %d; the network takes %d x %d x %d up to 255\n",
                height, width, channels, largest, wanted[1], wanted[2], wanted[3]);
        exit(1);
    }
    size_t size = elements(layout);
    if (fread(pixels, 1, size, stdin) != size) fail("a picture is cut off", "");
    return 1;
}

static void print_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if (iscntrl((unsigned char)*text)) printf("\\u%04x", *text);
        else putchar(*text);
    }
    putchar('"');
}

/* JSON has no words for NaN and infinity. */
static void print_float(float value) {
    if (isfinite(value)) printf("%.9g", value);
    else printf("null");
}

static void print_output(const Tensor *tensor, const void *values, char **labels) {
    print_string(tensor->name);
    printf(": [");
    for (size_t i = 0; i < tensor->count; i++) {
        if (i) printf(", ");
        switch (tensor->type.element_type) {
            case LITERT_FLOAT32: print_float(((const float *)values)[i]); break;
            case LITERT_INT32: printf("%d", ((const int32_t *)values)[i]); break;
            case LITERT_UINT8: printf("%d", ((const uint8_t *)values)[i]); break;
            default: fail("an output is neither float32, int32 nor uint8: ", tensor->name);
        }
    }
    putchar(']');
    if (strcmp(tensor->name, "class_id") == 0) {
        if (tensor->type.element_type != LITERT_INT32) fail("class_id is no int32", "");
        int32_t number = *(const int32_t *)values;
        if (number < 0 || number >= MAX_CLASSES || !labels[number])
            fail("labels.txt has fewer classes than the network", "");
        printf(", \"label\": ");
        print_string(labels[number]);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: vislearn_edge model.tflite labels.txt < pictures", "");
    char **labels = read_labels(argv[2]);

    LiteRtEnvironment environment;
    LiteRtModel model;
    LiteRtOptions options;
    LiteRtCompiledModel compiled;
    TRY(LiteRtCreateEnvironment(0, NULL, &environment));
    TRY(LiteRtCreateModelFromFile(environment, argv[1], &model));
    TRY(LiteRtCreateOptions(&options));
    TRY(LiteRtSetOptionsHardwareAccelerators(options, LITERT_CPU));
    TRY(LiteRtCreateCompiledModel(environment, model, options, &compiled));

    LiteRtSignature signature;
    LiteRtTensor tensor;
    LiteRtTensorBufferRequirements required;
    LiteRtParamIndex inputs, outputs;
    TRY(LiteRtGetModelSignature(model, 0, &signature));
    TRY(LiteRtGetNumSignatureInputs(signature, &inputs));
    TRY(LiteRtGetNumSignatureOutputs(signature, &outputs));
    if (inputs != 1 || outputs > MAX_OUTPUTS) fail("the network takes no single picture", "");

    Tensor input, output[MAX_OUTPUTS];
    TRY(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
    TRY(LiteRtGetRankedTensorType(tensor, &input.type));
    TRY(LiteRtGetCompiledModelInputTensorLayout(compiled, 0, 0, &input.type.layout));
    if (input.type.element_type != LITERT_UINT8 || input.type.layout.rank != 4)
        fail("the network takes no picture", "");
    if (input.type.layout.dimensions[0] != 1) fail("the file takes a fixed batch of several", "");
    TRY(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &required));
    TRY(LiteRtCreateManagedTensorBufferFromRequirements(environment, &input.type, required,
                                                        &input.buffer));
    LiteRtLayout layouts[MAX_OUTPUTS];
    TRY(LiteRtGetCompiledModelOutputTensorLayouts(compiled, 0, outputs, layouts, true));
    LiteRtTensorBuffer buffers[MAX_OUTPUTS];
    for (LiteRtParamIndex i = 0; i < outputs; i++) {
        TRY(LiteRtGetSignatureOutputName(signature, i, &output[i].name));
        TRY(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor));
        TRY(LiteRtGetRankedTensorType(tensor, &output[i].type));
        output[i].type.layout = layouts[i];
        output[i].count = elements(&layouts[i]);
        TRY(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, i, &required));
        TRY(LiteRtCreateManagedTensorBufferFromRequirements(environment, &output[i].type, required,
                                                            &output[i].buffer));
        buffers[i] = output[i].buffer;
    }

    size_t count = 0;
    double seconds = 0;
    void *memory;
    uint8_t *pixels = malloc(elements(&input.type.layout));
    while (read_picture(pixels, &input.type.layout)) {
        TRY(LiteRtLockTensorBuffer(input.buffer, &memory, LITERT_WRITE));
        memcpy(memory, pixels, elements(&input.type.layout));
        TRY(LiteRtUnlockTensorBuffer(input.buffer));
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        TRY(LiteRtRunCompiledModel(compiled, 0, 1, &input.buffer, outputs, buffers));
        clock_gettime(CLOCK_MONOTONIC, &end);
        seconds += (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        count++;
        putchar('{');
        for (LiteRtParamIndex i = 0; i < outputs; i++) {
            if (i) printf(", ");
            TRY(LiteRtLockTensorBuffer(output[i].buffer, &memory, LITERT_READ));
            print_output(&output[i], memory, labels);
            TRY(LiteRtUnlockTensorBuffer(output[i].buffer));
        }
        printf("}\n");
        fflush(stdout);
    }
    fprintf(stderr, "%zu pictures, %.3f ms each in the model\n", count,
            count ? 1000 * seconds / (double)count : 0.0);

    free(pixels);
    LiteRtDestroyTensorBuffer(input.buffer);
    for (LiteRtParamIndex i = 0; i < outputs; i++) LiteRtDestroyTensorBuffer(output[i].buffer);
    LiteRtDestroyCompiledModel(compiled);
    LiteRtDestroyOptions(options);
    LiteRtDestroyModel(model);
    LiteRtDestroyEnvironment(environment);
    return 0;
}
